package chat

import (
	"fmt"
	"time"

	"github.com/ncruces/go-strftime"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// What transformers adds to Jinja for its templates: raise_exception, strftime_now, a tojson without HTML; and the tag
// generation (generation.go).

// raise is the template's raise_exception.
func raise(e *exec.Evaluator, params *exec.VarArgs) *exec.Value {
	words := "the conversation is refused"
	if len(params.Args) > 0 {
		words = params.Args[0].String()
	}
	return exec.AsValue(fmt.Errorf("it says: %s", words))
}

// day is the date that templates are told. It is part of a run's prompts, so it does not change.
var day = time.Date(2024, time.July, 26, 0, 0, 0, 0, time.UTC)

// today is the template's strftime_now.
func today(format string) string { return strftime.Format(format, day) }
