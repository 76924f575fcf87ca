// SPDX-License-Identifier: GPL-2.0-only
/*
 * chardev.c - /dev/uballoon: copies, validates, calls the core, nothing else
 *
 * Beside it, in sysfs, the two figures without which nobody can read /proc/meminfo
 * rightly.
 *
 * The node exists exactly while a host's device is bound. A file that is open
 * when it goes keeps the core alive, gets ENODEV from each call and
 * POLLERR|POLLHUP from poll(), and never touches the host again.
 *
 * Each file remembers which events it has seen; only its own GET_STATE makes
 * its poll() quiet.
 *
 * Invariant: no page of a caller's is touched inside the core. It may come late or
 * never (userfaultfd, FUSE), and the device may go, or sleep, without it.
 */
#include <linux/compat.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "chardev.h"
#include "core.h"

struct uballoon_file {
	struct uballoon *ub;
	bool writer;
	spinlock_t lock;	/* the two below */
	u64 host_seen;
	u64 relief_seen;
};

static int uballoon_open(struct inode *inode, struct file *filp)
{
	struct miscdevice *misc = filp->private_data;
	struct uballoon *ub = container_of(misc, struct uballoon, misc);
	struct uballoon_file *file;
	int r = 0;

	file = kzalloc(sizeof(*file), GFP_KERNEL);
	if (!file)
		return -ENOMEM;
	file->ub = ub;
	file->writer = filp->f_mode & FMODE_WRITE;
	spin_lock_init(&file->lock);

	spin_lock(&ub->lock);
	if (ub->gone)
		r = -ENODEV;
	else if (file->writer && ub->writer)
		r = -EBUSY;
	else if (file->writer)
		ub->writer = true;
	file->host_seen = ub->host_generation;
	file->relief_seen = ub->relief_generation;
	spin_unlock(&ub->lock);
	if (r) {
		kfree(file);
		return r;
	}
	uballoon_core_get(ub);
	filp->private_data = file;
	return nonseekable_open(inode, filp);
}

static int uballoon_release(struct inode *inode, struct file *filp)
{
	struct uballoon_file *file = filp->private_data;
	struct uballoon *ub = file->ub;

	if (file->writer) {
		spin_lock(&ub->lock);
		ub->writer = false;
		spin_unlock(&ub->lock);
	}
	uballoon_core_put(ub);
	kfree(file);
	return 0;
}

static __poll_t uballoon_poll(struct file *filp, poll_table *wait)
{
	struct uballoon_file *file = filp->private_data;
	struct uballoon *ub = file->ub;
	__poll_t events = 0;
	u64 host, relief;
	bool gone;

	poll_wait(filp, &ub->poll_wait, wait);
	spin_lock(&ub->lock);
	gone = ub->gone;
	host = ub->host_generation;
	relief = ub->relief_generation;
	spin_unlock(&ub->lock);

	if (gone)
		return EPOLLERR | EPOLLHUP;
	spin_lock(&file->lock);
	if (file->host_seen != host)
		events |= EPOLLIN | EPOLLRDNORM;
	if (file->relief_seen != relief)
		events |= EPOLLPRI;
	spin_unlock(&file->lock);
	return events;
}

static bool all_zero(const __u64 *reserved, size_t n)
{
	return !memchr_inv(reserved, 0, n * sizeof(*reserved));
}

/* One call: what it is given and answers, and what is left to do when that has arrived. */
struct call {
	union {
		struct uballoon_info info;
		struct uballoon_state state;
		struct uballoon_target target;
		struct uballoon_move move;
		struct uballoon_pop pop;
		struct uballoon_prove prove;
	};
	u64 host;		/* GET_STATE: the events that it tells of */
	u64 relief;
};

static int get_info(struct uballoon *ub, struct call *c)
{
	struct uballoon_info *info = &c->info;

	if (info->size != sizeof(*info) || !all_zero(info->reserved, ARRAY_SIZE(info->reserved)))
		return -EINVAL;
	uballoon_core_info(ub, info);
	return 0;
}

static int get_state(struct uballoon *ub, struct call *c)
{
	struct uballoon_state *state = &c->state;

	if (state->size != sizeof(*state) || state->reserved32 ||
	    !all_zero(state->reserved, ARRAY_SIZE(state->reserved)))
		return -EINVAL;
	uballoon_core_state(ub, state, &c->host, &c->relief);
	return 0;
}

/* Only what has arrived has been seen; of two answers on their way the later one counts. */
static void state_seen(struct uballoon_file *file, const struct call *c)
{
	spin_lock(&file->lock);
	file->host_seen = max(file->host_seen, c->host);
	file->relief_seen = max(file->relief_seen, c->relief);
	spin_unlock(&file->lock);
}

static int set_target(struct uballoon *ub, struct call *c)
{
	const struct uballoon_target *t = &c->target;

	if (t->size != sizeof(*t) || !all_zero(t->reserved, ARRAY_SIZE(t->reserved)) ||
	    t->lease_ms > UBALLOON_MAX_LEASE_MS || t->floor_pages > t->ceiling_pages ||
	    t->ceiling_pages > uballoon_units(uballoon_ram(ub)) ||
	    t->relief_pages > uballoon_units(uballoon_ram(ub)) ||
	    t->account > UBALLOON_ACCOUNT_GONE || t->reserved32)
		return -EINVAL;
	uballoon_core_set_target(ub, t);
	return 0;
}

static int check_move(struct uballoon *ub, const struct uballoon_move *mv, bool lock)
{
	if (mv->size != sizeof(*mv) || mv->reserved32 ||
	    !all_zero(mv->reserved, ARRAY_SIZE(mv->reserved)))
		return -EINVAL;
	if (lock ? mv->flags != UBALLOON_MOVE_NOSLEEP && mv->flags != UBALLOON_MOVE_CANSLEEP :
		   mv->flags != 0)
		return -EINVAL;
	if (mv->page_order != UBALLOON_ORDER_4K && mv->page_order != UBALLOON_ORDER_2M)
		return -EINVAL;
	if (!mv->budget_ms || mv->budget_ms > UBALLOON_MAX_BUDGET_MS)
		return -EINVAL;
	if (!mv->pages || mv->pages & ((1ULL << mv->page_order) - 1))
		return -EINVAL;
	if (mv->pages > uballoon_units(uballoon_ram(ub)))
		return -E2BIG;
	if (mv->page_order == UBALLOON_ORDER_2M && !(ub->host->caps & UBALLOON_CAP_2M))
		return -EOPNOTSUPP;
	return 0;
}

static int move(struct uballoon *ub, struct uballoon_move *mv, bool lock)
{
	struct uballoon_move in_pages;
	int r;

	r = check_move(ub, mv, lock);
	if (r)
		return r;
	in_pages = *mv;
	in_pages.page_order = mv->page_order == UBALLOON_ORDER_2M ? UBALLOON_LARGE_ORDER :
								    UBALLOON_BASE_ORDER;
	/* Never more taken than asked for, and never less given back. */
	if (lock) {
		in_pages.pages = uballoon_pages_down(mv->pages);
		uballoon_move_lock(ub, &in_pages);
	} else {
		in_pages.pages = uballoon_pages_up(mv->pages);
		uballoon_move_unlock(ub, &in_pages);
	}
	if (READ_ONCE(ub->gone))
		return -ENODEV;
	mv->done_pages = uballoon_units(in_pages.done_pages);
	mv->refused_pages = uballoon_units(in_pages.refused_pages);
	mv->stop = in_pages.stop;
	return 0;
}

static int lock(struct uballoon *ub, struct call *c)
{
	return move(ub, &c->move, true);
}

static int unlock(struct uballoon *ub, struct call *c)
{
	return move(ub, &c->move, false);
}

static int keepalive(struct uballoon *ub, struct call *c)
{
	return uballoon_core_keepalive(ub);
}

static int pop(struct uballoon *ub, struct call *c)
{
	struct uballoon_pop *p = &c->pop;

	if (p->size != sizeof(*p) || p->reserved32 ||
	    !all_zero(p->reserved, ARRAY_SIZE(p->reserved)))
		return -EINVAL;
	uballoon_move_pop(ub, p);
	p->done_pages = uballoon_units(p->done_pages);
	return 0;
}

static int check_prove(struct uballoon *ub, const struct uballoon_prove *p)
{
	if (p->size != sizeof(*p) || p->reserved32 ||
	    !all_zero(p->reserved, ARRAY_SIZE(p->reserved)))
		return -EINVAL;
	if (p->flags != UBALLOON_MOVE_NOSLEEP && p->flags != UBALLOON_MOVE_CANSLEEP)
		return -EINVAL;
	if (p->page_order != UBALLOON_ORDER_4K && p->page_order != UBALLOON_ORDER_2M)
		return -EINVAL;
	if (!p->budget_ms || p->budget_ms > UBALLOON_MAX_BUDGET_MS ||
	    p->hold_ms > UBALLOON_MAX_HOLD_MS)
		return -EINVAL;
	if (!(ub->host->caps & UBALLOON_CAP_PROOF) ||
	    (p->page_order == UBALLOON_ORDER_2M && !(ub->host->caps & UBALLOON_CAP_2M)))
		return -EOPNOTSUPP;
	return 0;
}

static int prove(struct uballoon *ub, struct call *c)
{
	struct uballoon_prove *p = &c->prove;
	u32 order = p->page_order;
	int r;

	r = check_prove(ub, p);
	if (r)
		return r;
	p->page_order = order == UBALLOON_ORDER_2M ? UBALLOON_LARGE_ORDER : UBALLOON_BASE_ORDER;
	uballoon_prove(ub, p);
	p->page_order = order;
	return READ_ONCE(ub->gone) ? -ENODEV : 0;
}

static const struct {
	unsigned int cmd;
	bool writer;		/* only for a file that is open for writing */
	int (*run)(struct uballoon *ub, struct call *c);
} calls[] = {
	{ UBALLOON_IOC_GET_INFO, false, get_info },
	{ UBALLOON_IOC_GET_STATE, false, get_state },
	{ UBALLOON_IOC_SET_TARGET, true, set_target },
	{ UBALLOON_IOC_LOCK, true, lock },
	{ UBALLOON_IOC_UNLOCK, true, unlock },
	{ UBALLOON_IOC_KEEPALIVE, true, keepalive },
	{ UBALLOON_IOC_POP, true, pop },
	{ UBALLOON_IOC_PROVE, true, prove },
};

static bool in_use(struct uballoon *ub)
{
	if (!uballoon_core_enter(ub))
		return false;
	uballoon_core_leave(ub);
	return true;
}

static long uballoon_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct uballoon_file *file = filp->private_data;
	void __user *argp = (void __user *)arg;
	struct uballoon *ub = file->ub;
	size_t size = _IOC_SIZE(cmd);
	struct call c;
	unsigned int i;
	int r;

	if (!in_use(ub))
		return -ENODEV;
	for (i = 0; i < ARRAY_SIZE(calls) && calls[i].cmd != cmd; i++)
		;
	if (i == ARRAY_SIZE(calls))
		return -ENOTTY;
	if (calls[i].writer && !file->writer)
		return -EBADF;
	if (copy_from_user(&c, argp, size))
		return -EFAULT;

	if (!uballoon_core_enter(ub))
		return -ENODEV;
	r = calls[i].run(ub, &c);
	uballoon_core_leave(ub);

	if (r)
		return r;
	if (_IOC_DIR(cmd) & _IOC_READ && copy_to_user(argp, &c, size))
		return -EFAULT;
	if (cmd == UBALLOON_IOC_GET_STATE)
		state_seen(file, &c);
	return 0;
}

static const struct file_operations uballoon_fops = {
	.owner		= THIS_MODULE,
	.open		= uballoon_open,
	.release	= uballoon_release,
	.poll		= uballoon_poll,
	.unlocked_ioctl	= uballoon_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};

/* ---- what everybody may read ---- */

static struct uballoon *balloon_of(struct device *dev)
{
	struct miscdevice *misc = dev_get_drvdata(dev);

	return container_of(misc, struct uballoon, misc);
}

static ssize_t mem_available_pages_show(struct device *dev, struct device_attribute *attr,
					char *buf)
{
	return sysfs_emit(buf, "%llu\n", uballoon_units(uballoon_available(balloon_of(dev))));
}
static DEVICE_ATTR_RO(mem_available_pages);

static ssize_t available_pages_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct uballoon *ub = balloon_of(dev);

	return sysfs_emit(buf, "%llu\n", uballoon_units(READ_ONCE(ub->available_pages)));
}
static DEVICE_ATTR_RO(available_pages);

static struct attribute *uballoon_attrs[] = {
	&dev_attr_mem_available_pages.attr,
	&dev_attr_available_pages.attr,
	NULL,
};
ATTRIBUTE_GROUPS(uballoon);

/**
 * uballoon_chardev_init - make the node appear
 * @ub:	balloon that can take requests
 */
int uballoon_chardev_init(struct uballoon *ub)
{
	ub->misc.minor = MISC_DYNAMIC_MINOR;
	ub->misc.name = "uballoon";
	ub->misc.mode = 0660;
	ub->misc.fops = &uballoon_fops;
	ub->misc.groups = uballoon_groups;
	return misc_register(&ub->misc);
}

/**
 * uballoon_chardev_exit - make it go; files that are open stay open
 * @ub:	balloon
 */
void uballoon_chardev_exit(struct uballoon *ub)
{
	misc_deregister(&ub->misc);
}
