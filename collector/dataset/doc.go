// Package dataset reads prompts in a stable order, with everything that belongs to
// them, and turns them into token ids.
//
// A source is a JSONL, CSV or Parquet file of rows; a row has a text (or, instead,
// input_ids: token ids used as they are; a text beside them is only kept) and any
// number of scalar columns (label, group, id, or anything else), which are carried
// along under their own names. A template wraps the text. A set is a source in memory; an input is a set as token
// ids, and the file that carries it to the nodes of a fleet.
//
// Guaranteed: rows keep the order of the source and count from 0; a column has one
// type; what cannot be used (a malformed line, a column of mixed types, an empty
// or too long prompt, a reserved name) is an error that names file and line, never
// a row left out; an input file's bytes are a function of the input alone, and
// reading one back gives an equal input or an error.
// Not guaranteed: that labels mean anything, or that prompts differ.
//
// Types: int64, float64, bool and string. A column of whole and fractional numbers
// is float64; every other mixture is refused. A missing or null value is "" in a
// string column and NaN in a column of numbers, which becomes float64 for it; in a
// bool column it is refused, because there is no value to stand for it. A column
// without any value is a string column of "". In CSV every field is text: a column
// is int64, float64 or bool when every non-empty field reads as one, and an empty
// field is a missing value.
package dataset
