// Package fakegpu is a GPU for tests on machines that have none: what it saw, and what it is told.
//
// The GPU itself is C++ (in cuda), compiled by scripts/setup.sh --fakegpu into a library with the name libtorch_cuda.so.
// libtorch built for the CPU has an empty place for CUDA; this library fills it, so that the program under test runs
// the very code that is meant for GPUs, and nothing in it knows. make test-fakegpu runs every test that needs it; in
// any other run they are skipped.
//
// # What it catches
//
//   - Device memory is closed to the host, and no address is ever used twice: reading, writing, or touching it after it
//     was freed ends the process with a line on stderr.
//   - An operator whose tensors lie on two devices, as on a GPU.
//   - A copy to pinned memory that is read before it was waited for: it holds NaN until then.
//   - Writing into pinned memory from or to which a copy is under way, and using it for two copies at a time.
//   - One stream that uses what another has written, without having waited for it; memory freed under another stream.
//   - Too little memory: an operator fails as libtorch's allocator does.
//
// What is wrong and cannot fail at once is in [Faults].
//
// # What it counts
//
// Copies by direction and kind ("d2h pinned", "h2d pageable blocking"), what the host waits for ("wait", "item"),
// operators ("op", "op aten::mm"), memory ("alloc", "pinned alloc").
//
// # What it cannot show
//
// Speed, the rounding of GPU kernels, drivers, NCCL: the operators are the CPU's. FAKEGPU_DEVICES sets how many devices
// there are, FAKEGPU_BYTES the memory of each.
package fakegpu
