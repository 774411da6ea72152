package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"actfleet/shard/tap"
)

// Options say what of a source is wanted and how its documents become prompts.
type Options struct {
	Text       string           // the column of prompts; "": text, input_ids, messages, or the only one that can be meant
	Keep, Drop []string         // the columns carried along, or those left out; neither: all that a shard can hold
	Label      string           // the column that is stored as label; "": label
	Labels     map[string]int64 // what each label becomes; nil: itself
	Template   string           // a name of Templates, ChatTemplate, a text with {text} in it, or "" for none
	Limit      int              // documents from the beginning; 0 for all
	Long       string           // what becomes of a document that is too long: one of the Long constants; "": LongRefuse, or LongWindow with Context
	Empty      string           // of one without tokens: EmptySkip (also "") or EmptyRefuse
	Context    int              // cut documents into windows of so many tokens; 0: no
	Overlap    int              // tokens that a window shares with the one before it
	Pack       bool             // number the windows that documents fill one after another
	Tokens     tap.Rule         // which positions become rows; they are found here where that depends on the data
	Offsets    bool             // the code points of the text that each token stands for are wanted
	// Chat renders a conversation as the checkpoint's own template does; nil: it has none.
	Chat func(messages []Message) (string, error)
	// Said does so too, and says where the text holds what a role said; there where Chat is.
	Said func(messages []Message, role string) (text string, said []Said, err error)
	// Mentions says whether that template has to do with a key of messages; nil: with any. A message that has such a key,
	// beside role and content, is refused.
	Mentions func(key string) bool
}

// What becomes of a document with more tokens than the limit.
const (
	LongRefuse = "refuse" // an error that counts all of them
	LongSkip   = "skip"   // left out
	LongCut    = "cut"    // its beginning
	LongWindow = "window" // several prompts
)

// What becomes of a document without tokens.
const (
	EmptySkip   = "skip"   // left out
	EmptyRefuse = "refuse" // an error
)

// complete checks the options and fills in what follows from others.
func (opt *Options) complete() error {
	if opt.Long == "" {
		opt.Long = LongRefuse
		if opt.Context > 0 || opt.Pack {
			opt.Long = LongWindow
		}
	}
	if opt.Empty == "" {
		opt.Empty = EmptySkip
	}
	switch {
	case opt.Long != LongRefuse && opt.Long != LongSkip && opt.Long != LongCut && opt.Long != LongWindow:
		return fmt.Errorf("%w: --long %s: want refuse, skip, cut or window", ErrOption, opt.Long)
	case opt.Empty != EmptySkip && opt.Empty != EmptyRefuse:
		return fmt.Errorf("%w: --empty %s: want skip or refuse", ErrOption, opt.Empty)
	case opt.Context < 0 || opt.Overlap < 0 || opt.Limit < 0:
		return fmt.Errorf("%w: --context, --overlap and --limit cannot be negative", ErrOption)
	case opt.Overlap > 0 && opt.Long != LongWindow:
		return fmt.Errorf("%w: --overlap %d: windows overlap, so it needs --context N or --long window", ErrOption, opt.Overlap)
	}
	return nil
}

// Check refuses what no source can be opened with: ErrOption.
func (opt Options) Check() error {
	if err := opt.complete(); err != nil {
		return err
	}
	_, err := parseTemplate(opt.Template)
	return err
}

// own lists the columns that windows have.
func (opt *Options) own() (names []string) {
	if opt.Long == LongWindow || opt.Pack {
		names = append(names, docColumn, docPosColumn)
	}
	if opt.Pack {
		names = append(names, windowColumn, windowPosColumn)
	}
	return names
}

// taken lists the names that a run gives to columns of its own, beside those that are always reserved.
func (opt *Options) taken() []string {
	names := opt.own()
	if opt.Offsets {
		names = append(names, OffsetColumns[0], OffsetColumns[1])
	}
	return names
}

// Source is a data set as found: files of rows, read once so that it is known what they hold.
type Source struct {
	opt      Options
	template string
	files    []file
	digest   string
	rows     int
	choice   *choice
}

// file is one file of a source, and what it was when it was first read.
type file struct {
	path     string
	rows     int
	size     int64
	modified time.Time
	lines    bool
}

// Open reads a source once, from its first row to its last: what its columns hold, and its digest. A path is a file, a
// folder, a pattern, or several with commas. What is wrong is ErrFormat, ErrEmpty or ErrOption and names file and line.
func Open(paths []string, opt Options) (*Source, error) {
	if err := opt.complete(); err != nil {
		return nil, err
	}
	template, err := parseTemplate(opt.Template)
	if err != nil {
		return nil, err
	}
	s := &Source{opt: opt, template: template}
	names, err := expand(paths)
	if err != nil {
		return nil, err
	}
	found := newProfiles()
	var sums []string
	for _, path := range names {
		sum, err := s.scan(path, found)
		if err != nil {
			return nil, err
		}
		sums = append(sums, sum)
	}
	s.digest, s.rows = joinSums(sums), found.rows
	if found.rows == 0 {
		return nil, fmt.Errorf("%s: %w", strings.Join(names, ", "), ErrEmpty)
	}
	if s.choice, err = choose(found, opt, opt.taken(), s.where); err != nil {
		return nil, s.named(err)
	}
	return s, errors.Join(s.checkChat(), s.checkTokens())
}

// named puts the source in front of an error about its columns that names no file.
func (s *Source) named(err error) error {
	if strings.HasPrefix(err.Error(), s.files[0].path) || len(s.files) > 1 {
		return err
	}
	return fmt.Errorf("%s: %w", s.files[0].path, err)
}

// checkChat makes sure that conversations can be rendered.
func (s *Source) checkChat() error {
	switch {
	case s.opt.Chat != nil:
	case s.choice.chat != "":
		return fmt.Errorf("%w: column %s holds conversations, and the checkpoint has no chat template "+
			"(tokenizer_config.json, chat_template.jinja); add one, or take a column of text with --text", ErrOption, s.choice.chat)
	case s.opt.Template == ChatTemplate:
		return fmt.Errorf("%w: --template chat: the checkpoint has no chat template (tokenizer_config.json, chat_template.jinja)", ErrOption)
	}
	if s.choice.chat != "" && s.opt.Template != "" && s.opt.Template != "none" && s.opt.Template != ChatTemplate {
		return fmt.Errorf("%w: --template %s: conversations go through the checkpoint's own template", ErrOption, s.opt.Template)
	}
	return nil
}

// joinSums is the digest of a source: its file's, or that of its files' digests.
func joinSums(sums []string) string {
	if len(sums) == 1 {
		return sums[0]
	}
	all := sha256.Sum256([]byte(strings.Join(sums, "\n")))
	return hex.EncodeToString(all[:])
}

// scan reads one file for its columns, and all of it, whatever the limit, for its digest.
func (s *Source) scan(path string, found *profiles) (sum string, err error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	o, err := openFile(path, h)
	if err != nil {
		return "", err
	}
	defer o.close()
	f := file{path: path, size: st.Size(), modified: st.ModTime(), lines: o.lines}
	n, before := len(s.files), found.rows
	err = inOrder(o.upTo(s.left(before)), func(c chunk) (*profiles, error) {
		rows, err := c.parse()
		p := newProfiles()
		for _, r := range rows {
			p.add(n, r)
		}
		return p, err
	}, func(p *profiles) error { found.merge(p); return nil })
	if err != nil {
		return "", o.fail(err)
	}
	f.rows = found.rows - before
	s.files = append(s.files, f)
	return o.sum(h)
}

// left is how many rows are still wanted after so many.
func (s *Source) left(rows int) int {
	if s.opt.Limit == 0 {
		return math.MaxInt
	}
	return s.opt.Limit - rows
}

// where names the place of a row.
func (s *Source) where(p place) string {
	f := s.files[p.file]
	return (&opened{path: f.path, lines: f.lines}).where(p.at)
}

// upTo gives chunks until most rows have been given.
func (o *opened) upTo(most int) func() (chunk, error) {
	return func() (chunk, error) {
		if most == 0 {
			return chunk{}, io.EOF
		}
		c, err := o.next(most)
		most -= c.rows
		return c, err
	}
}

// fail names file and place of an error.
func (o *opened) fail(err error) error {
	if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrPrompt) && !errors.Is(err, ErrOption) {
		err = fmt.Errorf("%w: %w", ErrFormat, err)
	}
	var at *rowError
	if errors.As(err, &at) && (!o.lines || at.at > 0) {
		return fmt.Errorf("%s: %w", o.where(at.at), err)
	}
	return fmt.Errorf("%s: %w", o.path, err)
}

// sum is the digest of the whole file, of which a stream's reader has hashed what it read.
func (o *opened) sum(h hash.Hash) (string, error) {
	if !o.stream {
		if _, err := o.file.Seek(0, io.SeekStart); err != nil {
			return "", err
		}
	}
	if _, err := io.Copy(h, o.file); err != nil {
		return "", fmt.Errorf("read %s: %w", o.path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Digest is the hex SHA-256 of the source's bytes; of several files, of their digests, one a line.
func (s *Source) Digest() string { return s.digest }

// Documents is how many rows the source has, up to the limit.
func (s *Source) Documents() int { return s.rows }

// Notes says in words what was decided about the source's columns.
func (s *Source) Notes() []string { return s.choice.notes }

// Files is how many files the source has.
func (s *Source) Files() int { return len(s.files) }

// Options are those that the source was opened with, and what follows from them.
func (s *Source) Options() Options { return s.opt }

// UsesChat says whether prompts are made with the checkpoint's chat template.
func (s *Source) UsesChat() bool { return s.choice.chat != "" || s.opt.Template == ChatTemplate }

// UsesText reports whether prompts are made from texts, or special tokens told from others, for which a tokenizer is
// needed.
func (s *Source) UsesText() bool { return s.choice.ids == "" || s.opt.Tokens.NotSpecial() }
