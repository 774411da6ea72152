// Package reduce is the all-reduce over the processes of a group: c10d's, with Gloo, on the CPU.
//
// # Vocabulary
//
//   - A group is a fixed number of processes, its world; a rank is one of them, from 0 on.
//   - A card is what the others must know of a rank to connect to it. How cards reach the other ranks is up to the
//     caller: no port is opened for it, and no name is looked up.
//
// # Guarantees
//
//   - A sum is the same on every rank, bit for bit, and the same in every run with as many ranks: Gloo adds around
//     a ring, in an order that depends on the place of an element and the number of ranks alone.
//   - A rank whose process ends makes the calls of all others fail within moments: the kernel closes its connections,
//     and whoever fails closes its own.
//   - The library that holds all this, libgroup.so, lies beside libtch.so. It is there where setup.sh found Gloo's
//     headers for the libtorch in use; Available says whether, and why not.
//
// # Not guaranteed
//
//   - Traffic is not encrypted, and a rank trusts whoever connects: run a group on a trusted network only.
//   - A machine that vanishes silently (a power cut, a pulled cable) is noticed only by the time-out.
package reduce
