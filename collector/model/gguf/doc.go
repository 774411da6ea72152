// Package gguf reads model files of the GGUF format and dequantises their tensors.
//
// A file is a magic, metadata (keys with typed values: hyper-parameters and the
// tokenizer), a list of tensors with shape, type and place, and the data. A block
// is the unit of a quantised type: 32 or 256 neighbouring values of a row with
// scales of their own.
//
// Guaranteed: a file that opens has been checked whole: every count and length is
// bounded by the bytes that are there before anything is allocated from it, every
// tensor lies inside the file and over no other, names and keys are unique, rows are
// whole blocks. Float32s gives the values that ggml's dequantisation gives, bit for
// bit. Versions 2 and 3, little-endian, F32, F16, BF16 and ggml's quantised types
// (Q4_0 to Q8_0, Q2_K to Q8_K, IQ1_S to IQ4_XS, TQ1_0, TQ2_0, MXFP4, NVFP4) are read;
// everything else is refused with ErrUnsupported by its name. A File is safe for concurrent use, except Close.
// Not guaranteed: finite values, models split over several files (refused), and
// safety from a file that is shortened by somebody else while it is mapped.
//
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
// Blocks: https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-common.h
package gguf
