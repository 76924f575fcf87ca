// SPDX-License-Identifier: GPL-2.0-only
/*
 * wrong.c - a module that does, on demand, what a kernel with all checks must notice
 *
 * Parameter kind, when it is loaded:
 *
 *   leak      memory that nobody points to any more, from here
 *   left      the same, from the code that is freed after loading
 *   recursive takes a lock of a class of which it holds one
 *   order     takes two locks in one order, and in the other
 *   sleep     may sleep while it holds a spinlock
 *   freed     reads memory that it has freed
 *   beyond    reads behind the end of an object
 *   index     reads an array of four at 4, by an index
 *   shift     shifts by more than there are bits
 *   object    frees a timer that is set
 *   page      gives a page back that is not its own any more
 *   list      adds to a list what is on it
 *   race      two processors count in one variable, for RACE_MS
 *   none      nothing
 *
 * Each is harmless to a kernel without checks, "page" and "object" excepted.
 *
 * Left out: what any kernel notices (faults.c).
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/timer.h>

#define RACE_MS	20000
#define LEAKS	16

static char *kind = "none";
module_param(kind, charp, 0444);
MODULE_PARM_DESC(kind, "what is done wrong at load time");

static int four[4];
static int sink;
/* Not known to the compiler. */
static int number = 4;
module_param(number, int, 0644);

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(atomic);

struct thing {
	struct mutex lock;
	struct timer_list timer;
	char bytes[40];
};

static void never(struct timer_list *unused)
{
}

static noinline struct thing *new_thing(void)
{
	struct thing *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return NULL;
	mutex_init(&t->lock);
	timer_setup(&t->timer, never, 0);
	return t;
}

static void recursive(void)
{
	struct thing *a = new_thing(), *b = new_thing();

	if (a && b) {
		mutex_lock(&a->lock);
		mutex_lock(&b->lock);
		mutex_unlock(&b->lock);
		mutex_unlock(&a->lock);
	}
	kfree(a);
	kfree(b);
}

static void order(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void freed(bool before)
{
	struct thing *t = new_thing();

	if (!t)
		return;
	if (before)
		kfree(t);
	/* Behind it, where the allocator has only made the object larger. */
	sink += *(volatile char *)(before ? t->bytes : (char *)t + sizeof(*t) + 1);
	if (!before)
		kfree(t);
}

static void object(void)
{
	struct thing *t = new_thing();

	if (!t)
		return;
	mod_timer(&t->timer, jiffies + 3600 * HZ);
	kfree(t);
}

static void page(void)
{
	struct page *p = alloc_page(GFP_KERNEL);

	if (!p)
		return;
	__free_page(p);
	put_page(p);
}

static void list(void)
{
	LIST_HEAD(head);
	LIST_HEAD(entry);

	list_add(&entry, &head);
	list_add(&entry, &head);
}

static int counting(void *counter)
{
	while (!kthread_should_stop()) {
		++*(int *)counter;
		cond_resched();
	}
	return 0;
}

static void race(void)
{
	struct task_struct *tasks[2];
	int i;

	for (i = 0; i < 2; i++)
		tasks[i] = kthread_run(counting, &sink, "wrong-%d", i);
	msleep(RACE_MS);
	for (i = 0; i < 2; i++)
		if (!IS_ERR(tasks[i]))
			kthread_stop(tasks[i]);
}

static int __init wrong_init(void)
{
	int i;

	/* Some of their addresses may lie about on a stack, where kmemleak takes them for pointers. */
	for (i = 0; i < LEAKS && !strcmp(kind, "leak"); i++)
		new_thing();
	for (i = 0; i < LEAKS && !strcmp(kind, "left"); i++)
		sink += !kmalloc(100, GFP_KERNEL);
	if (!strcmp(kind, "recursive"))
		recursive();
	else if (!strcmp(kind, "order"))
		order();
	else if (!strcmp(kind, "freed") || !strcmp(kind, "beyond"))
		freed(kind[0] == 'f');
	else if (!strcmp(kind, "index"))
		sink += four[number];
	else if (!strcmp(kind, "shift"))
		sink += 1 << (number * 10);
	else if (!strcmp(kind, "object"))
		object();
	else if (!strcmp(kind, "page"))
		page();
	else if (!strcmp(kind, "list"))
		list();
	else if (!strcmp(kind, "race"))
		race();
	else if (!strcmp(kind, "sleep")) {
		spin_lock(&atomic);
		might_sleep();
		spin_unlock(&atomic);
	}
	return 0;
}

static void __exit wrong_exit(void)
{
}

module_init(wrong_init);
module_exit(wrong_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Faults for tests of the kernels with checks");
