// Package chat renders conversations with the template that a checkpoint brings along.
//
// The template is Jinja, as in chat_template of tokenizer_config.json, or in chat_template.jinja beside it. It sees
// what transformers lets it see: messages, add_generation_prompt, bos_token, eos_token and the other special tokens,
// raise_exception, strftime_now and tojson, and blocks are trimmed as there. It reads no files: there is nothing for it
// to include. {% generation %} blocks are known; Said tells what they enclose, and where else a role speaks.
//
// Guaranteed: the same conversation gives the same text; a template that raises an exception, or that fails, is an
// error that carries its words. Not guaranteed: that a template which asks for today's date says the same tomorrow
// (it is told 26 July 2024), or anything about tools and documents: there are none; that a template ends, or takes
// little memory: a stranger's is parsed and rendered in a process of its own (package sandbox).
package chat

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"

	"actfleet/collector/dataset"
	"actfleet/internal/smallfile"
)

// ErrTemplate says that a template cannot be read or used, or refuses a conversation.
var ErrTemplate = errors.New("chat template")

// Bounds of what is taken.
const (
	maxTemplate  = 1 << 20  // of a template's text, in bytes
	maxConfig    = 64 << 20 // of a checkpoint's JSON, which may list a vocabulary
	maxDepth     = 200      // of brackets within brackets, and of conditions within one expression
	maxJSONDepth = 100      // of values within values that a template writes as JSON
)

// Source is a checkpoint's chat template as it is written, and the special tokens by the names that it knows them by.
type Source struct {
	Text    string
	Special map[string]string
}

// wholeMessage is how a template uses keys of a message that it does not name.
var wholeMessage = regexp.MustCompile(`\.(?:items|keys|values)\(|\b(?:messages?|msg|m)\s*\|\s*(?:tojson|string|items|list|dictsort)\b|\b(?:message|msg|m)\[[A-Za-z]`)

// Mentions returns what tells whether the template may use a key of messages: its name is in the text, or messages are
// used whole.
func (s *Source) Mentions() func(key string) bool {
	whole := wholeMessage.MatchString(s.Text)
	return func(key string) bool {
		return whole || strings.Contains(s.Text, key) &&
			regexp.MustCompile(`(?:^|\W)`+regexp.QuoteMeta(key)+`(?:$|\W)`).MatchString(s.Text)
	}
}

// Digest is the SHA-256 of the template in hex.
func (s *Source) Digest() string {
	sum := sha256.Sum256([]byte(s.Text))
	return hex.EncodeToString(sum[:])
}

// Template is a template that can be rendered.
type Template struct {
	text    string // as it is written
	parsed  *exec.Template
	context map[string]any
	// generates says that the template marks what the assistant says.
	generates bool
}

// generationBlock is how such a template begins to do so.
var generationBlock = regexp.MustCompile(`\{%[-+]?\s*` + generationTag + `\b`)

// tokenizerConfig is what of tokenizer_config.json a template needs.
type tokenizerConfig struct {
	Template json.RawMessage `json:"chat_template"`
	BOS      token           `json:"bos_token"`
	EOS      token           `json:"eos_token"`
	UNK      token           `json:"unk_token"`
	PAD      token           `json:"pad_token"`
}

// token is a special token: its text, or an object that has it as content.
type token string

// UnmarshalJSON reads either form; anything else is no token.
func (t *token) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		*t = token(s)
		return nil
	}
	var o struct{ Content string }
	if json.Unmarshal(raw, &o) == nil {
		*t = token(o.Content)
	}
	return nil
}

// Load reads the template of the checkpoint in dir, without a look at what it says; nil where it has none.
func Load(dir string) (*Source, error) {
	c, err := readConfig(filepath.Join(dir, "tokenizer_config.json"))
	if err != nil {
		return nil, err
	}
	text, err := readText(filepath.Join(dir, "chat_template.jinja"))
	if err != nil {
		return nil, err
	}
	if text == "" {
		if text, err = c.template(); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "tokenizer_config.json"), err)
		}
	}
	if text == "" {
		return nil, nil
	}
	return &Source{Text: text, Special: map[string]string{"bos_token": string(c.BOS), "eos_token": string(c.EOS),
		"unk_token": string(c.UNK), "pad_token": string(c.PAD)}}, nil
}

// End is the token that ends a document, as the checkpoint in dir names it: eos_token of tokenizer_config.json, whose
// id is asked for, or eos_token_id of config.json; nil where neither does.
func End(dir string, id func(token string) (int32, bool)) ([]int32, error) {
	c, err := readConfig(filepath.Join(dir, "tokenizer_config.json"))
	if err != nil {
		return nil, err
	}
	if n, ok := id(string(c.EOS)); ok {
		return []int32{n}, nil
	}
	text, err := readText(filepath.Join(dir, "config.json"))
	if err != nil || text == "" {
		return nil, err
	}
	var model struct {
		EOS json.RawMessage `json:"eos_token_id"`
	}
	var one *int32
	var several []int32
	switch {
	case json.Unmarshal([]byte(text), &model) != nil, len(model.EOS) == 0:
	case json.Unmarshal(model.EOS, &one) == nil && one != nil:
		return []int32{*one}, nil
	case json.Unmarshal(model.EOS, &several) == nil && len(several) > 0:
		return several[:1], nil
	}
	return nil, nil
}

func readConfig(path string) (c tokenizerConfig, err error) {
	text, err := readText(path)
	if err != nil || text == "" {
		return c, err
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return c, fmt.Errorf("%s: %w: not JSON: %w", path, ErrTemplate, err)
	}
	return c, nil
}

// readText reads a file that need not be there.
func readText(path string) (string, error) {
	text, err := smallfile.Read(path, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}

// template is the one text, or of several with names the one called default.
func (c tokenizerConfig) template() (string, error) {
	var one *string
	if len(c.Template) == 0 || json.Unmarshal(c.Template, &one) == nil {
		if one == nil {
			return "", nil
		}
		return *one, nil
	}
	var several []struct{ Name, Template string }
	if err := json.Unmarshal(c.Template, &several); err != nil {
		return "", fmt.Errorf("%w: chat_template is neither a text nor a list of templates with names", ErrTemplate)
	}
	for _, t := range several {
		if t.Name == "default" {
			return t.Template, nil
		}
	}
	return "", fmt.Errorf("%w: chat_template has several templates and none is called default", ErrTemplate)
}

// Parse makes a template of what is written. It and Render take as long and as much memory as the template wants, and
// one that nests deeply enough ends the process.
func Parse(from Source) (t *Template, err error) {
	defer rescue(&err)
	if len(from.Text) > maxTemplate {
		return nil, fmt.Errorf("%w: it has %d bytes, more than %d", ErrTemplate, len(from.Text), maxTemplate)
	}
	text, err := rewrite(from.Text)
	if err != nil {
		return nil, err
	}
	cfg := config.New()
	cfg.TrimBlocks = true // rewrite does what lstrip_blocks does
	const name = "/chat"
	source, err := loaders.NewMemoryLoader(map[string]string{name: text})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	parsed, err := exec.NewTemplate(name, cfg, source, environment())
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrTemplate, plainly(err))
	}
	t = &Template{text: from.Text, parsed: parsed, context: map[string]any{}, generates: generationBlock.MatchString(from.Text)}
	for k, v := range from.Special {
		if v != "" { // one that there is not is undefined
			t.context[k] = v
		}
	}
	return t, nil
}

// Render writes a conversation as the model reads it. Where its last turn is not the assistant's, the text ends where
// the assistant's answer begins. It may be called by several goroutines at once.
func (t *Template) Render(messages []dataset.Message) (text string, err error) {
	return t.render(messages, nil)
}

// render is Render with more variables.
func (t *Template) render(messages []dataset.Message, more map[string]any) (text string, err error) {
	defer rescue(&err)
	turns := make(list, len(messages))
	for i, m := range messages {
		turns[i] = map[string]any{"role": m.Role, "content": m.Content}
	}
	context := map[string]any{
		"messages":              turns,
		"add_generation_prompt": len(messages) > 0 && messages[len(messages)-1].Role != "assistant",
		"tools":                 nil,
		"documents":             nil,
		"raise_exception":       raise,
		"strftime_now":          today,
	}
	maps.Copy(context, t.context)
	maps.Copy(context, more)
	text, err = t.parsed.ExecuteToString(exec.NewContext(context))
	if err != nil {
		return "", fmt.Errorf("%w: %s", ErrTemplate, plainly(err))
	}
	return text, nil
}

func rescue(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v", ErrTemplate, p)
	}
}
