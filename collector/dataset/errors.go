package dataset

import "errors"

// What a caller may decide on.
var (
	// ErrEmpty says that a source has no rows, or none that gives a prompt.
	ErrEmpty = errors.New("no rows")
	// ErrFormat says that a source breaks its format or the rules for columns.
	ErrFormat = errors.New("bad data")
	// ErrPrompt says that a prompt cannot be used: empty, too long, or ids outside the vocabulary.
	ErrPrompt = errors.New("bad prompt")
	// ErrOption says that an option asks for what the source does not have or this package does not know.
	ErrOption = errors.New("bad option")
)
