// Package torch is the only access to libtorch: tensors, operators, autograd, threads and devices, with memory
// freed by scope and failures returned as Go errors.
//
// # Vocabulary
//
//   - A [Scope] owns the tensors made through it and frees them when it ends, never a finalizer.
//   - A kept tensor ([Scope.Keep]) belongs to the caller, who ends it with [Tensor.Free].
//   - [Do] runs a function with a scope; an inner scope ([Scope.Sub]) frees the intermediate results of a
//     part, for example of one layer, and gives its result to the scope around it.
//   - Dimensions ("dim") are counted from 0, or from the end with -1, as PyTorch counts them.
//
// # Guarantees
//
//   - Everything made in a scope and not kept is freed when the scope ends, however it ends.
//   - A libtorch failure anywhere inside [Do] becomes the *[Error] that Do returns, with the operator's name;
//     the program continues. No panic leaves the package except those of the caller's own code.
//   - Do holds its OS thread, so errors and the autograd mode of concurrent goroutines do not mix.
//   - Numbers from [Scope.Randn], [Scope.Rand] and [Scope.Randperm] are pure functions of (seed, shape).
//   - libtorch is opened at the first use: a program that needs no tensors neither waits for it nor needs it.
//
// # Not guaranteed
//
//   - A scope and the tensors it owns belong to one goroutine. Kept tensors may be read by many at once.
//   - Memory seen through [Wrap], [Tensor.Float32s] and [Tensor.Int64s] is shared, not copied: it is valid while
//     its owner lives, and this is not checked.
//   - Bits depend on the libtorch, its BLAS, the CPU kind and, where TestThreadCountBits says so, on the
//     number of threads.
//
// # Example
//
//	err := torch.Do(func(s *torch.Scope) error {
//		x := torch.FromFloat32(s, data, n, d)      // [N, D]
//		y := s.Softmax(s.Linear(x, w, b), -1)      // [N, C]
//		copy(out, y.Float32s())
//		return nil
//	})
package torch
