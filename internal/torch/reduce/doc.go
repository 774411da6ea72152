// Package reduce adds up numbers over the processes of a group: c10d's all-reduce by Gloo, on the CPU.
//
// # Vocabulary
//
//   - A group is a fixed number of processes, its world; a rank is one of them, from 0 on.
//   - A card is what the others must know of a rank to connect to it. How cards reach the other ranks is the
//     caller's affair: no port is open for it, and nobody waits for a name to be found.
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
//   - What travels is not encrypted, and a rank believes who connects: a group belongs on a network that is trusted.
//   - A machine that vanishes without a word (a power cut, a pulled cable) is noticed by the time-out alone.
package reduce
