// Package bpe turns text into token ids and back with the byte-level BPE that a
// Hugging Face tokenizer.json describes.
//
// An added token is a piece of text that is found before anything else and has an
// id of its own; what lies between added tokens is normalised, split into words by
// the pre-tokenizer, and each word's bytes are merged pair by pair, lowest rank
// first. Specials are the ids the post-processor puts around a prompt.
//
// Guaranteed: the ids are those of Hugging Face's tokenizers library for every
// text, for every file this package loads; a file that asks for anything the
// package does not do (another model, normaliser, pre-tokenizer or post-processor)
// is refused with ErrUnsupported and the name of the thing, never approximated.
// Decode(Encode(text)) is text for a vocabulary with all 256 bytes and no
// normaliser, prefix space or stripping added tokens. A BPE is safe for concurrent
// use.
// Not guaranteed: a file's truncation and padding settings are not applied, and
// characters that Unicode versions class differently may split differently.
package bpe
