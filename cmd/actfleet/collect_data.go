package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"actfleet/collector/dataset"
	"actfleet/collector/dataset/chat"
	"actfleet/collector/dataset/chat/sandbox"
	"actfleet/collector/model"
	"actfleet/collector/model/bpe"
	"actfleet/collector/model/gguf"
	"actfleet/shard/run"
	"actfleet/shard/tap"
)

// dataOptions are the flags that say what the prompts are.
type dataOptions struct {
	paths  []string
	labels []string // VALUE=NUMBER
	opt    dataset.Options
}

func (d *dataOptions) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&d.paths, "data", nil, "documents: files, folders or quoted globs of JSONL, JSON, CSV, TSV, Parquet, Arrow, also compressed; repeatable")
	f.StringVar(&d.opt.Text, "text", "", "column with the prompts (default: text, input_ids, messages, or the only one that qualifies)")
	f.StringSliceVar(&d.opt.Keep, "keep", nil, "carry along only these columns")
	f.StringSliceVar(&d.opt.Drop, "drop", nil, "carry along all columns but these")
	f.StringVar(&d.opt.Label, "label", "", "column to store as label")
	f.StringSliceVar(&d.labels, "label-map", nil, "map label values to numbers: no=0,yes=1")
	f.StringVar(&d.opt.Template, "template", "none", "template around the text: chat (the checkpoint's own), "+
		strings.Join(dataset.Templates(), ", ")+", or a text with {text} in it")
	f.IntVar(&d.opt.Limit, "limit", 0, "only the first N documents (0: all)")
	f.StringVar(&d.opt.Long, "long", "", "what to do with documents that are too long: refuse, skip, cut or window (default refuse; window with --context or --pack)")
	f.StringVar(&d.opt.Empty, "empty", dataset.EmptySkip, "what to do with documents without tokens: skip or refuse")
	f.IntVar(&d.opt.Context, "context", 0, "split documents into windows of N tokens (0: no)")
	f.IntVar(&d.opt.Overlap, "overlap", 0, "tokens that a window shares with the one before it")
	f.BoolVar(&d.opt.Pack, "pack", false, "fill windows with several documents, each ended with EOS; no attention between them")
}

func (d *dataOptions) none() bool { return len(d.paths) == 0 }

// name is what the plan calls the data: the base name of what --data named.
func (d *dataOptions) name() string {
	if len(d.paths) == 1 {
		return baseName(d.paths[0])
	}
	return fmt.Sprintf("%s and %d more", baseName(d.paths[0]), len(d.paths)-1)
}

// labelMap reads --label-map.
func (d *dataOptions) labelMap() (map[string]int64, error) {
	if len(d.labels) == 0 {
		return nil, nil
	}
	out := map[string]int64{}
	for _, item := range d.labels {
		at := strings.LastIndex(item, "=")
		if at < 0 {
			return nil, fmt.Errorf("%w: --label-map %s: want VALUE=NUMBER, such as no=0,yes=1", errUsage, item)
		}
		n, err := strconv.ParseInt(item[at+1:], 10, 64)
		if _, twice := out[item[:at]]; err != nil || twice {
			return nil, fmt.Errorf("%w: --label-map %s: want VALUE=NUMBER once for each value, such as no=0,yes=1", errUsage, item)
		}
		out[item[:at]] = n
	}
	return out, nil
}

// tokenised is the data set as token ids, in a temporary file.
type tokenised struct {
	prompts *dataset.File
	spool   *os.File    // holds the prompts as they lie in a run; it has no name any more
	sum     string      // its SHA-256
	corpus  *run.Corpus // what the plan says of the documents
}

// tokenize reads the data and keeps the prompts in a temporary file, with the positions that the rule keeps where it
// depends on the data.
func (j *job) tokenize(info model.Info, rule tap.Rule) (in tokenised, err error) {
	limits := dataset.Limits{MaxTokens: info.MaxPositions, Vocab: info.Vocab}
	if m := j.o.maxTokens; m > 0 && (m < limits.MaxTokens || limits.MaxTokens == 0) {
		limits.MaxTokens = m
	}
	opt := j.o.data.opt
	opt.Tokens, opt.Offsets = rule, j.o.offsets
	if opt.Labels, err = j.o.data.labelMap(); err != nil {
		return in, err
	}
	if err := opt.Fit(limits); err != nil {
		return in, fmt.Errorf("%w: %w", errUsage, err)
	}
	template, err := j.chat(&opt, &limits)
	if err != nil {
		return in, err
	}
	if template != nil {
		renderer := sandbox.New(*template, chatWorker)
		defer func() { err = errors.Join(err, renderer.Close()) }()
		opt.Chat, opt.Said, opt.Mentions = renderer.Render, renderer.Said, template.Mentions()
	}
	set, err := dataset.Open(j.o.data.paths, opt)
	if errors.Is(err, dataset.ErrOption) {
		err = fmt.Errorf("%w: %w", errUsage, err)
	}
	if err != nil {
		return in, err
	}
	if j.noText != nil && set.UsesText() {
		return in, j.noText
	}
	j.notes = append(j.notes, set.Notes()...)
	counts, err := in.write(set, j.text, limits)
	if err = cmp.Or(j.text.Err(), err); err != nil { // what was not encoded looks like an empty document
		return in, err
	}
	j.data = summarise(counts, set, limits)
	j.notes = append(j.notes, j.data.notes(counts, set.Options())...)
	in.corpus = corpusOf(set, counts, template, limits)
	return in, nil
}

// write writes the prompts to a temporary file that has no name any more, and opens it.
func (in *tokenised) write(set *dataset.Source, text *bpe.BPE, limits dataset.Limits) (counts dataset.Counts, err error) {
	f, err := os.CreateTemp("", "actfleet-input-*")
	if err != nil {
		return counts, fmt.Errorf("keep the tokenised rows: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return counts, fmt.Errorf("keep the tokenised rows: %w", err)
	}
	h := sha256.New()
	if counts, err = set.Tokenize(io.MultiWriter(f, h), text, limits); err != nil {
		return counts, errors.Join(err, f.Close())
	}
	st, err := f.Stat()
	if err != nil {
		return counts, errors.Join(err, f.Close())
	}
	in.spool, in.sum = f, hex.EncodeToString(h.Sum(nil))
	in.prompts, err = dataset.OpenInput(f, st.Size())
	return counts, err
}

// corpusOf is what the plan says of the documents; nil where each became a prompt, as it stood, of one file.
func corpusOf(set *dataset.Source, n dataset.Counts, template *chat.Source, limits dataset.Limits) *run.Corpus {
	opt := set.Options()
	c := run.Corpus{Text: opt.Text, Keep: opt.Keep, Drop: opt.Drop, Label: opt.Label, Labels: opt.Labels,
		Context: opt.Context, Overlap: opt.Overlap, Pack: opt.Pack, Empty: n.Empty, TooLong: n.Long, Windows: n.Windows}
	if set.Files() > 1 {
		c.Files = set.Files()
	}
	if set.UsesChat() {
		c.Chat = template.Digest()
	}
	if opt.Long != dataset.LongRefuse {
		c.Long = opt.Long
	}
	if opt.Pack {
		c.Separator = limits.Separator
	}
	if c.IsZero() {
		return nil
	}
	c.Documents = n.Documents
	return &c
}

// dataSummary is what became of the documents.
type dataSummary struct {
	Documents int64   `json:"documents"`
	Prompts   int64   `json:"prompts"`
	Tokens    int64   `json:"tokens"`
	Empty     int64   `json:"skipped_empty"`
	Long      int64   `json:"too_long"`
	Longest   int64   `json:"longest"`
	Windows   int64   `json:"windows,omitempty"`      // packed ones
	Packed    float64 `json:"packed_share,omitempty"` // of their room, 0 to 1
	DoubleBOS int64   `json:"double_bos,omitempty"`
	NoRows    int64   `json:"prompts_without_rows,omitempty"` // the token rule keeps none of their positions
}

func summarise(n dataset.Counts, set *dataset.Source, limits dataset.Limits) *dataSummary {
	s := &dataSummary{Documents: n.Documents, Prompts: n.Prompts, Tokens: n.Tokens, Empty: n.Empty, Long: n.Long, Longest: n.Longest,
		Windows: n.Windows, DoubleBOS: n.DoubleBOS, NoRows: n.NoRows}
	if room := max(int64(set.Options().Context), int64(limits.MaxTokens)); n.Windows > 0 && room > 0 {
		if c := int64(set.Options().Context); c > 0 {
			room = c
		}
		s.Packed = float64(n.Tokens) / float64(n.Windows*room)
	}
	return s
}

// String is the summary in one line.
func (s *dataSummary) String() string {
	text := fmt.Sprintf("%d, %d without tokens left out, %d too long, the longest of %d tokens", s.Documents, s.Empty, s.Long, s.Longest)
	if s.Windows > 0 {
		text += fmt.Sprintf("; %d windows, filled to %.0f %%", s.Windows, 100*s.Packed)
	}
	if s.NoRows > 0 {
		text += fmt.Sprintf("; %d prompts without rows", s.NoRows)
	}
	return text
}

// notes says what a user may not expect.
func (s *dataSummary) notes(n dataset.Counts, opt dataset.Options) (out []string) {
	if n.Empty > 0 {
		out = append(out, fmt.Sprintf("%d of %d documents are empty and were left out (the first is %s)", n.Empty, n.Documents, n.FirstEmpty))
	}
	if n.Long > 0 {
		became := map[string]string{dataset.LongSkip: "were left out", dataset.LongCut: "were cut to the limit",
			dataset.LongWindow: "became several prompts each"}[opt.Long]
		out = append(out, fmt.Sprintf("%d of %d documents are longer than the limit and %s (the first is %s; the longest has %d tokens)",
			n.Long, n.Documents, became, n.FirstLong, n.Longest))
	}
	if n.DoubleBOS > 0 {
		out = append(out, fmt.Sprintf("%d prompts begin with the beginning-of-sequence token twice: "+
			"the text or the template has it, and the tokenizer adds it", n.DoubleBOS))
	}
	if n.NoRows > 0 {
		out = append(out, fmt.Sprintf("--tokens %s keeps no position of %d of %d prompts (the first is %s)", opt.Tokens, n.NoRows, n.Prompts, n.FirstNoRows))
	}
	if s.Windows > 0 {
		out = append(out, fmt.Sprintf("%d prompts fill %d windows to %.0f %%", s.Prompts, s.Windows, 100*s.Packed))
	}
	return out
}

// chat finds the checkpoint's chat template, if it has one, and for packing the token that ends its documents.
func (j *job) chat(opt *dataset.Options, limits *dataset.Limits) (*chat.Source, error) {
	dir, err := model.Resolve(j.o.model)
	if err != nil {
		return nil, err
	}
	var t *chat.Source
	var end []int32
	if strings.EqualFold(filepath.Ext(dir), ".gguf") {
		t, end, err = ggufChat(dir, j.text.Token)
	} else if t, err = chat.Load(dir); err == nil {
		end, err = chat.End(dir, j.text.ID)
	}
	if err != nil {
		return nil, err
	}
	if opt.Pack {
		limits.Separator = end
	}
	return t, nil
}

// ggufChat reads the chat template and the end token of a .gguf file; token spells an id.
func ggufChat(path string, token func(id int32) string) (t *chat.Source, end []int32, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	special := map[string]string{}
	for _, name := range []string{"bos", "eos", "unknown", "padding"} {
		id, ok := gguf.Get[int64](f, "tokenizer.ggml."+name+"_token_id")
		if !ok || id != int64(int32(id)) {
			continue
		}
		key := map[string]string{"unknown": "unk_token", "padding": "pad_token"}[name]
		if key == "" {
			key = name + "_token"
		}
		special[key] = token(int32(id))
		if name == "eos" {
			end = []int32{int32(id)}
		}
	}
	text, ok := gguf.Get[string](f, "tokenizer.chat_template")
	if !ok || text == "" {
		return nil, end, nil
	}
	return &chat.Source{Text: text, Special: special}, end, nil
}

// chatWorker is the process that renders with a template.
func chatWorker() *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		exe = os.Args[0]
	}
	return exec.Command(exe, "chat-worker")
}

// newChatWorker is the process that renders conversations for collect.
func newChatWorker() *cobra.Command {
	return &cobra.Command{
		Use:    "chat-worker",
		Short:  "Render conversations for collect, which starts it",
		Hidden: true,
		Args:   usage(cobra.NoArgs),
		RunE:   func(c *cobra.Command, _ []string) error { return sandbox.Serve(c.InOrStdin(), c.OutOrStdout()) },
	}
}
