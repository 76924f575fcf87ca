// SPDX-License-Identifier: GPL-2.0-or-later
// usage: java Need HEAP_MIB DIRECT_MIB
//
// Takes so much of the heap and so much outside of it, touches all, and says so. A program
// that needs more than the virtual machine found fit ends with OutOfMemoryError and status 1.
import java.nio.ByteBuffer;
import java.util.ArrayList;

public class Need {
	static int taken;

	public static void main(String[] args) {
		ArrayList<Object> kept = new ArrayList<>();
		int heap = Integer.parseInt(args[0]), direct = Integer.parseInt(args[1]);
		long started = System.nanoTime();

		try {
			for (; taken < heap; taken++)
				kept.add(new byte[(1 << 20) - 64]);
			for (; taken < heap + direct; taken++)
				kept.add(ByteBuffer.allocateDirect(1 << 20));
		} catch (OutOfMemoryError e) {
			kept.clear();
			System.out.println("OutOfMemoryError at " + taken + " MiB: " + e.getMessage());
			System.exit(1);
		}
		System.out.println("has " + taken + " MiB, ms=" + (System.nanoTime() - started) / 1000000);
	}
}
