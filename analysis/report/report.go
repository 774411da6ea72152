package report

import (
	"time"

	"actfleet/analysis/evaluate"
	"actfleet/trainer/coder"
)

// Report is everything a page shows. Empty parts are left out of the page.
type Report struct {
	Title     string  // heading; empty: made from the runs
	Runs      []Run   // what was collected
	Probes    []Sweep // one heat map block each
	Transfers []Transfer
	Coders    []Coder  // training curves
	Timelines []Fleet  // one per run
	Norms     []Norms  // one per run
	Commands  []string // how to reproduce, in order
	Notes     []string // what the reader must know, such as parts that could not be read
}

// Run is the header of one run.
type Run struct {
	Name      string // last part of the path
	PlanID    string
	Model     string // name and architecture
	Data      string
	Template  string
	Adapters  []string
	Sites     string
	Layers    string
	Tokens    string // token rule
	Dtype     string
	Compute   string
	DataRows  int64 // rows of the data set
	Rows      int64 // kept token positions, in the units that have a shard
	Units     int   // of the plan
	Committed int   // units that have a shard
	Gone      int   // units of a ring whose shard is deleted, since every reader has acknowledged it
	Damaged   int   // units whose object is no shard of the plan
	Bytes     int64 // of the shards
	Started   time.Time
	Ended     time.Time
}

// Sweep is the outcome of one probe folder.
type Sweep struct {
	Name string
	evaluate.Table
}

// Transfer is a folder of probe folders: what was fitted on each run, measured on every other.
type Transfer struct {
	Name string
	evaluate.Transfer
}

// Coder is one SAE or tokenizer with its training curves and what was measured of it.
type Coder struct {
	Name   string
	Kind   string // sae, vq
	Arch   string
	Site   string
	Layer  int
	Width  int // latents, or codes of the codebook
	DIn    int
	Points []coder.Event
	Eval   *coder.Evaluation // nil: never evaluated
}

// Fleet is who did what, and when.
type Fleet struct {
	Name    string
	Nodes   []Node // by name
	Skipped int    // log lines that could not be read
}

// Node is one process of the fleet; a restarted one is two nodes of one name.
type Node struct {
	Name  string
	Host  string
	PID   int
	Start time.Time
	End   time.Time // last line of its log
	Left  bool      // it said goodbye; otherwise it died or still runs
	Spans []Span
	Error string // the last error it logged
}

// Outcome is how a node's work on a unit ended.
type Outcome string

// What became of a unit in the hands of one node.
const (
	Won        Outcome = "won"        // committed: this node was first
	Lost       Outcome = "lost"       // another node was first
	Duplicate  Outcome = "duplicate"  // another node was first, with the same bytes
	Dropped    Outcome = "dropped"    // given up before the end
	Unfinished Outcome = "unfinished" // the log ends inside
)

// Outcomes lists them in the order of the legend.
var Outcomes = []Outcome{Won, Duplicate, Lost, Dropped, Unfinished}

// Span is a node's work on one unit.
type Span struct {
	Unit       int
	Start, End time.Time
	Outcome    Outcome
	Rows       int64
	Bytes      int64
	Seconds    float64 // as logged; 0: End − Start
}

// Norms holds the root mean square norm ‖x‖ of every vector column.
type Norms struct {
	Name    string
	Columns []Norm
}

// Norm is one vector column.
type Norm struct {
	Site    string
	Layer   int
	Variant string
	Width   int
	RMS     float64 // sqrt(Σ‖x‖²/rows)
	MaxAbs  float64
	Bad     int64 // non-finite and overflowed values
}
