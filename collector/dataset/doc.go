// Package dataset reads documents in a stable order, with everything that belongs to them, and turns them into
// prompts of token ids.
//
// A source is a set of files with rows, in common formats: JSON Lines, a JSON array, CSV, TSV, Parquet, Arrow IPC;
// plain or in gzip, zstd, brotli or bzip2; told apart by their content. A row is a document: a text, a conversation
// (a list of messages, rendered by the checkpoint's own template) or token ids, and any number of scalars (label,
// group, id, or anything else), which are carried along under their own names. A template wraps a text. A prompt is
// what one pass of the model reads: a document, or a window of one that is too long; packed documents are prompts of
// their own that share a window's number. A token rule that depends on the data (tap.Rule.FromData) is applied here: the
// positions it keeps go with the prompt. Offsets are the ranges of code points of a document's text that its tokens
// stand for. An input is the prompts, and the file that carries them to the nodes of a fleet.
//
// Guaranteed: documents keep the order of the source and count from 0; a column has one type; no row is left out
// without being counted; what cannot be used (a malformed line, a column of mixed types, an id outside the
// vocabulary) is an error with file and line; an input file's bytes are a function of the source and the options
// alone, on any number of cores; a source is read in bounded memory, however large it is; reading an input back gives
// an equal one or an error.
// Not guaranteed: that labels mean anything, or that prompts differ.
//
// Types: int64, float64, bool and string. A column of whole and fractional numbers is float64. A missing or null
// value is "" in a string column and NaN in a column of numbers, which becomes float64 for it. Numbers that would
// lose digits that way, and booleans with missing values, become strings. Times are strings in ISO 8601; decimals are
// float64 up to 15 digits and strings beyond. A string among numbers is an error. A column without any value is a
// string column of "". In CSV every field is text: a column is int64, float64 or bool when every non-empty field
// reads as one, and an empty field is a missing value. Lists, structs and bytes are left out, and listed. A column
// with a reserved name is stored with the prefix data_.
//
// A source may be hostile: an Arrow schema is walked before memory is made for what it claims, and one Arrow buffer
// takes at most 4 GiB.
package dataset
