package run

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"actfleet/shard"
	"actfleet/shard/tap"
)

// PlanFormat is the version of plan.json and of the shards made under it.
const PlanFormat = 1

// Plan describes a run completely: two runs with equal plans hold equal bytes, on one kind of device. It holds no
// time, no host and no path. Its canonical bytes are plan.json and their SHA-256 is the plan's id.
type Plan struct {
	Format      int            `json:"format"`
	Model       ModelRef       `json:"model"`
	Adapters    []AdapterRef   `json:"adapters"`
	Data        DataRef        `json:"data"`
	Template    string         `json:"template"`          // how a data row becomes a prompt
	Choices     []string       `json:"choices"`           // answers whose probabilities are stored
	MaxTokens   int            `json:"max_tokens"`        // longer prompts are cut; 0 is the model's own limit
	Limit       int64          `json:"limit"`             // only the first rows of the data set; 0 is all
	Sites       []tap.Site     `json:"sites"`             // in canonical order
	Layers      []int          `json:"layers"`            // ascending
	Tokens      string         `json:"tokens"`            // token rule, see tap.ParseRule
	Dtype       string         `json:"dtype"`             // as asked for; Vectors has what each column got
	Compute     string         `json:"compute"`           // dtype of the forward pass
	Device      string         `json:"device"`            // kind of device: cpu, cuda
	GPU         *GPU           `json:"gpu,omitempty"`     // the kind of GPU
	KeepText    bool           `json:"keep_text"`         // the prompt is a column
	Offsets     bool           `json:"offsets,omitempty"` // start and end, the code points of each token, are columns
	BatchTokens int            `json:"batch_tokens"`      // token budget of one forward pass
	Scalars     []shard.Scalar `json:"scalars"`           // all scalar columns, BaseScalars first
	Vectors     []shard.Vector `json:"vectors"`
	// Same are sites that were asked for and hold what another one holds, under which they are stored: attn_out is out_proj
	// where no norm stands behind it.
	Same        map[tap.Site]tap.Site `json:"same,omitempty"`
	UnitPrompts int                   `json:"unit_prompts,omitempty"` // asked for in each unit; 0: by what they cost
	Units       []int64               `json:"units"`                  // boundaries: unit u is the data rows [Units[u], Units[u+1])
	Ring        *Ring                 `json:"ring,omitempty"`
}

// GPU is what the bytes of a run on GPUs depend on beside its inputs. A plan for the CPU has none, nor has one from before
// this was recorded.
type GPU struct {
	Name       string `json:"name"`
	Capability string `json:"capability"` // compute capability, for example 9.0
	Libtorch   string `json:"libtorch"`   // its version
}

// String names all three.
func (g GPU) String() string {
	return fmt.Sprintf("%s (capability %s) with libtorch %s", g.Name, g.Capability, g.Libtorch)
}

// ModelRef names the language model.
type ModelRef struct {
	Name         string `json:"name"`
	Arch         string `json:"arch"`
	Digest       string `json:"digest"` // of config, tokenizer and weights
	Layers       int    `json:"layers"`
	Hidden       int    `json:"hidden"`
	MaxPositions int    `json:"max_positions"`
	// Accept are the keys of config.json that were passed over without being understood, because the user said so.
	Accept []string `json:"accept,omitempty"`
}

// AdapterRef names an adapter; Name is the suffix of its columns.
type AdapterRef struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

// DataRef names the data set and the object that holds its prompts.
type DataRef struct {
	Name   string  `json:"name"`
	Digest string  `json:"digest"`
	Rows   int64   `json:"rows"`
	Input  string  `json:"input"` // key, see InputKey
	Corpus *Corpus `json:"corpus,omitempty"`
}

// Corpus says how documents became prompts; a run whose documents are each a prompt has none.
type Corpus struct {
	Files     int              `json:"files,omitempty"`         // of several: their order is that of the command
	Text      string           `json:"text,omitempty"`          // the column of prompts, where it was asked for
	Keep      []string         `json:"keep,omitempty"`          // columns carried along, all others left out
	Drop      []string         `json:"drop,omitempty"`          // columns left out
	Label     string           `json:"label,omitempty"`         // the column stored as label
	Labels    map[string]int64 `json:"label_map,omitempty"`     // what its values became
	Chat      string           `json:"chat_template,omitempty"` // SHA-256 of the template of conversations
	Long      string           `json:"long,omitempty"`          // what became of documents that are too long
	Context   int              `json:"context,omitempty"`       // tokens of a window
	Overlap   int              `json:"overlap,omitempty"`       // tokens that a window shares with the one before
	Pack      bool             `json:"pack,omitempty"`          // documents share windows
	Separator []int32          `json:"separator,omitempty"`     // ids that end a packed document
	Documents int64            `json:"documents,omitempty"`     // in the data set, up to the limit
	Empty     int64            `json:"empty,omitempty"`         // left out because they have no tokens
	TooLong   int64            `json:"too_long,omitempty"`      // cut or left out, by Long
	Windows   int64            `json:"windows,omitempty"`       // packed windows
}

// IsZero says that there is nothing to say.
func (c Corpus) IsZero() bool { return reflect.ValueOf(c).IsZero() }

// Bytes is the plan as canonical JSON: fields in the order of the struct, two spaces of indent, a final newline, [] for
// an empty list.
func (p Plan) Bytes() []byte {
	p.Adapters = orEmpty(p.Adapters)
	p.Choices = orEmpty(p.Choices)
	p.Sites = orEmpty(p.Sites)
	p.Layers = orEmpty(p.Layers)
	p.Scalars = orEmpty(p.Scalars)
	p.Vectors = orEmpty(p.Vectors)
	p.Units = orEmpty(p.Units)
	return canonicalJSON(p)
}

// ID is the SHA-256 of Bytes in hexadecimal.
func (p Plan) ID() string {
	sum := sha256.Sum256(p.Bytes())
	return hex.EncodeToString(sum[:])
}

// Schema is the columns of the plan's shards.
func (p Plan) Schema() shard.Schema { return shard.Schema{Scalars: p.Scalars, Vectors: p.Vectors} }

// Stored is the tap under which a tap's vectors are stored: itself, unless its site is the same as another.
func (p Plan) Stored(t tap.Tap) tap.Tap {
	if site, ok := p.Same[t.Site]; ok {
		t.Site = site
	}
	return t
}

// Column is the name of the column that holds what name says; name itself, unless its site is the same as another.
func (p Plan) Column(name string) string {
	t, variant, ok := tap.ParseColumn(name)
	if !ok {
		return name
	}
	return p.Stored(t).Column(variant)
}

// NumUnits is the number of shards of the complete run.
func (p Plan) NumUnits() int { return max(len(p.Units)-1, 0) }

// Fits reports whether a shard of this plan may have the schema s: the plan's own, but for vector columns that became
// F32 because a value of the unit does not fit F16, where the plan's dtype allows that.
func (p Plan) Fits(s shard.Schema) bool {
	s.Vectors = slices.Clone(s.Vectors)
	for i := range min(len(s.Vectors), len(p.Vectors)) {
		if p.Dtype == "auto" && p.Vectors[i].Dtype == shard.F16 && s.Vectors[i].Dtype == shard.F32 {
			s.Vectors[i].Dtype = shard.F16
		}
	}
	return s.Equal(p.Schema())
}

// UnitRange is the data rows of unit u: lo ≤ row < hi.
func (p Plan) UnitRange(u int) (lo, hi int64) { return p.Units[u], p.Units[u+1] }

// Identity is what unit u's shard says about itself.
func (p Plan) Identity(u int) shard.Identity { return shard.Identity{PlanID: p.ID(), Unit: u} }

// Validate returns an error that names what no run can have.
func (p Plan) Validate() error {
	if p.Format != PlanFormat {
		return fmt.Errorf("%w: plan of format %d, this program knows %d", shard.ErrSchema, p.Format, PlanFormat)
	}
	if err := p.Schema().Validate(); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if !slices.Equal(p.Scalars[:min(len(p.Scalars), len(shard.BaseScalars()))], shard.BaseScalars()) {
		return fmt.Errorf("plan: %w: the first columns must be row, pos, n_tokens, token_id, token", shard.ErrSchema)
	}
	if _, err := tap.ParseRule(p.Tokens); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	return errors.Join(p.checkCounts(), p.checkLayers(), p.checkSame(), p.checkUnits(), p.Ring.check())
}

// maxCount bounds every number of a plan but rows: twice as much overflows nothing that is counted with it.
const maxCount = 1 << 30

func (p Plan) checkCounts() error {
	for name, n := range map[string]int64{"model.layers": int64(p.Model.Layers), "model.hidden": int64(p.Model.Hidden), "model.max_positions": int64(p.Model.MaxPositions),
		"max_tokens": int64(p.MaxTokens), "batch_tokens": int64(p.BatchTokens), "limit": p.Limit, "data.rows": p.Data.Rows} {
		if n < 0 || n > maxCount && name != "limit" && name != "data.rows" {
			return fmt.Errorf("plan: %s is %d", name, n)
		}
	}
	return nil
}

func (p Plan) checkLayers() error {
	for i, l := range p.Layers {
		if l < 0 || l >= p.Model.Layers && p.Model.Layers > 0 || i > 0 && l <= p.Layers[i-1] {
			return fmt.Errorf("plan: layers are %d of a model with %d, want ascending ones from 0", p.Layers, p.Model.Layers)
		}
	}
	return nil
}

func (p Plan) checkSame() error {
	for site, stored := range p.Same {
		if !slices.Contains(tap.Every, site) || !slices.Contains(tap.Every, stored) || p.Same[stored] != "" {
			return fmt.Errorf("plan: same: %q is %q, want two sites, of which the second is stored", site, stored)
		}
	}
	return nil
}

func (p Plan) checkUnits() error {
	if p.NumUnits() > shard.MaxUnits {
		return fmt.Errorf("plan of %d units, at most %d", p.NumUnits(), shard.MaxUnits)
	}
	for i, row := range p.Units {
		if row < 0 || row > p.Data.Rows || i > 0 && row <= p.Units[i-1] {
			return fmt.Errorf("plan: unit boundary %d at row %d: want ascending rows of the %d in the data", i, row, p.Data.Rows)
		}
	}
	if n := len(p.Units); n > 0 && (p.Units[0] != 0 || p.Units[n-1] != p.Data.Rows) {
		return fmt.Errorf("plan: units from row %d to %d, the data have %d", p.Units[0], p.Units[n-1], p.Data.Rows)
	}
	return nil
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// canonicalJSON encodes a value of our own types; they cannot fail.
func canonicalJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return b.Bytes()
}
