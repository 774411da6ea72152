package dataset

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"actfleet/shard/tap"
)

// The columns that hold the prompt itself.
const (
	textColumn = "text"
	idsColumn  = "input_ids"
	maskColumn = "attention_mask"
)

// The columns of windows and of packed windows.
const (
	docColumn       = "doc"
	docPosColumn    = "doc_pos"
	windowColumn    = "window"
	windowPosColumn = "window_pos"
)

// OffsetColumns are the columns of a shard for the code points of the text that a token stands for, if they are wanted.
var OffsetColumns = [2]string{"start", "end"}

// reserved are the columns that a shard or an input file has of its own, some of them also with "__" and the name of
// an adapter behind, and other spellings of text and input_ids.
var reserved = []string{"row", "pos", "n_tokens", "token_id", "token", "ids", "p_no", "p_yes", "choice_cov", textColumn, idsColumn}

// maxNameLen bounds a column name in bytes.
const maxNameLen = 200

// ownPrefix stands in front of a column of the source whose name is one of ours.
const ownPrefix = "data_"

// checkName refuses a name that a shard or an SQL engine could not tell apart from another: engines compare names
// without case.
func checkName(name string) error {
	switch {
	case name == "" || len(name) > maxNameLen || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("column name %.40q: want 1 to %d bytes of text", name, maxNameLen)
	case isOwn(name):
		return fmt.Errorf("column %q: the name is that of a column of our own", name)
	}
	return nil
}

// isOwn says whether a shard or a reader of shards gives a name another meaning: a column of its own, an activation
// column, or one with two underscores in front, such as __file, which tells a reader where a row came from.
func isOwn(name string) bool {
	base, _, _ := strings.Cut(name, "__")
	if base == "" || foldedIndex(reserved, base) >= 0 {
		return true
	}
	_, _, ok := tap.ParseColumn(name)
	return ok
}
