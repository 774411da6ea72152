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
)

// reserved are the columns that a shard or an input file has of its own, some of
// them also with "__" and the name of an adapter behind, and other spellings of
// the two above.
var reserved = []string{"row", "pos", "n_tokens", "token_id", "token", "ids", "p_no", "p_yes", "choice_cov", textColumn, idsColumn}

// maxNameLen bounds a column name in bytes.
const maxNameLen = 200

// checkName refuses a name that a shard or an SQL engine could not tell apart from
// another: engines compare names without case.
func checkName(name string) error {
	if name == "" || len(name) > maxNameLen || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("column name %.40q: want 1 to %d bytes of text", name, maxNameLen)
	}
	base, _, _ := strings.Cut(name, "__")
	for _, r := range reserved {
		if strings.EqualFold(base, r) {
			return fmt.Errorf("column %q: the name is that of our own column %s; rename it", name, r)
		}
	}
	if _, _, ok := tap.ParseColumn(name); ok {
		return fmt.Errorf("column %q: the name is that of an activation column; rename it", name)
	}
	return nil
}
