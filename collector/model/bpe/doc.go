// Package bpe turns text into token ids and back with the BPE that a Hugging Face
// tokenizer.json describes.
//
// A byte-level model (GPT-2, NeoX, Llama 3, Qwen) merges bytes; a model of
// characters (Llama 2, Mistral, Gemma) merges characters, writes spaces as marks
// (U+2581), and falls back to byte tokens for characters it has no token for.
//
// An added token is a piece of text that is found before anything else and has an
// id of its own; what lies between added tokens is normalised, split into words by
// the pre-tokenizer, and each word's symbols are merged pair by pair, lowest rank
// first. Specials are the ids the post-processor puts around a prompt.
//
// Guaranteed: the ids are those of Hugging Face's tokenizers library for every
// text, for every file this package loads; a file that asks for anything the
// package does not do (another model, normaliser, pre-tokenizer or post-processor)
// is refused with ErrUnsupported and the name of the thing, never approximated. A
// Split may have any pattern that Oniguruma, the reference's engine, and regexp2 read
// alike (see translate). With the files beside it (ParseBeside, LoadDir) the ids are
// those of transformers' AutoTokenizer 5.23. Offsets are the reference's too, for text that is UTF-8.
// The split patterns, NFC and single_word follow the Unicode versions of tokenizers
// 0.23, compared character by character in the tests. Decode(Encode(text)) is text
// for a byte-level vocabulary with all 256 bytes and no normaliser, prefix space or
// stripping added tokens. A BPE is safe for concurrent use. A pattern that comes to no
// end is given up, and Err says so.
// Not guaranteed: a file's truncation and padding settings are not applied; of its
// decoder only the dropped leading space is read; letters and numbers newer than
// Unicode 15 count as such in patterns, other classes of them do not; text that is no UTF-8, which the
// reference cannot be given, is split as if each such byte were a symbol.
package bpe
