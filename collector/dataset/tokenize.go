package dataset

import "fmt"

// Encoder turns a text into token ids; special adds the ids a model expects
// around a prompt.
type Encoder interface {
	Encode(text string, special bool) []int32
}

// TokenizeOptions bound the prompts.
type TokenizeOptions struct {
	MaxTokens int // the longest prompt, in tokens; 0 for any
	Vocab     int // ids are below this; 0 for any
}

// Tokenize encodes every row's text, special ids included, and takes the ids of
// rows that came with ids as they are. A prompt without tokens, longer than
// MaxTokens, or with an id outside of the vocabulary is an error that names its
// line; no row is left out.
func Tokenize(s *Set, enc Encoder, opt TokenizeOptions) (*Input, error) {
	in := &Input{Digest: s.digest, IDs: make([][]int32, s.Rows), Text: s.Text, Columns: s.Columns}
	for i := range in.IDs {
		ids := s.IDs[i]
		if ids == nil && s.Text[i] != "" {
			ids = enc.Encode(s.Text[i], true)
		}
		if err := opt.check(ids); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", s.Where(i), ErrPrompt, err)
		}
		in.IDs[i] = ids
	}
	return in, nil
}

func (opt TokenizeOptions) check(ids []int32) error {
	if len(ids) == 0 {
		return fmt.Errorf("the prompt is empty")
	}
	if opt.MaxTokens > 0 && len(ids) > opt.MaxTokens {
		return fmt.Errorf("the prompt has %d tokens, and the limit is %d", len(ids), opt.MaxTokens)
	}
	for _, id := range ids {
		if id < 0 || opt.Vocab > 0 && int(id) >= opt.Vocab {
			return fmt.Errorf("token id %d is not in the vocabulary of %d", id, opt.Vocab)
		}
	}
	return nil
}
