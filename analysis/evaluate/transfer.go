package evaluate

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"text/tabwriter"

	"actfleet/internal/smallfile"
)

// TransferFile is the name of a Transfer in a folder of probe folders.
const TransferFile = "transfer.json"

// Transfer is what was fitted on each run, measured on every other.
type Transfer struct {
	Runs  []string `json:"runs"`  // names: of the probe folders, and of their tables' splits
	Cells [][]Cell `json:"cells"` // [fitted on][measured on]; where both are one its test split
}

// Cell is the probe that a run's own validation chose, on one run.
type Cell struct {
	Probe string `json:"probe,omitempty"` // its id; "" where none converged
	N     int    `json:"n"`
	AUROC Value  `json:"auroc"`
	Lo    Value  `json:"lo"`
	Hi    Value  `json:"hi"`
	Why   string `json:"why,omitempty"` // why there is no AUROC
}

// NewTransfer puts the tables of all runs together, in the order of names.
func NewTransfer(names []string, tables []Table) Transfer {
	t := Transfer{Runs: names}
	for i, table := range tables {
		chosen, ok := table.Chosen()
		row := make([]Cell, len(names))
		for j, name := range names {
			if i == j {
				name = "test"
			}
			m, measured := chosen.Splits[name]
			nan := Value(math.NaN())
			switch row[j] = (Cell{chosen.ID, m.N, m.AUROC, m.AUROCLo, m.AUROCHi, m.Why}); {
			case !ok:
				row[j] = Cell{AUROC: nan, Lo: nan, Hi: nan, Why: "no probe was chosen"}
			case !measured:
				row[j] = Cell{Probe: chosen.ID, AUROC: nan, Lo: nan, Hi: nan, Why: "there is no test split"}
			}
		}
		t.Cells = append(t.Cells, row)
	}
	return t
}

// Worst is the run, other than i itself, on which what was fitted on run i does worst; -1 where none has an AUROC.
func (t Transfer) Worst(i int) int {
	worst := -1
	for j, c := range t.Cells[i] {
		if j != i && c.AUROC.Defined() && (worst < 0 || c.AUROC < t.Cells[i][worst].AUROC) {
			worst = j
		}
	}
	return worst
}

// WriteText writes the matrix, a line for each run that was fitted on.
func (t Transfer) WriteText(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprint(w, "AUROC, fitted on")
	for _, name := range t.Runs {
		fmt.Fprintf(w, "\ton %s", name)
	}
	fmt.Fprintln(w, "\tworst")
	for i, name := range t.Runs {
		fmt.Fprint(w, name)
		for j, c := range t.Cells[i] {
			text := withInterval(c.AUROC, c.Lo, c.Hi)
			if i == j {
				text = "(" + text + ")"
			}
			fmt.Fprint(w, "\t", text)
		}
		worst := "–"
		if at := t.Worst(i); at >= 0 {
			worst = t.Runs[at]
		}
		fmt.Fprintf(w, "\t%s\n", worst)
	}
	fmt.Fprintln(w, "in brackets: on the test split of the run itself")
	return w.Flush()
}

// maxRuns bounds a transfer that is read.
const maxRuns = 1000

// ReadTransfer reads DIR/transfer.json.
func ReadTransfer(dir string) (t Transfer, err error) {
	path := filepath.Join(dir, TransferFile)
	data, err := smallfile.Read(path, maxResults)
	if err != nil {
		return t, fmt.Errorf("read transfer: %w", err)
	}
	if err := json.Unmarshal(data, &t); err != nil {
		return t, fmt.Errorf("read %s: %w", path, err)
	}
	if len(t.Runs) > maxRuns || len(t.Cells) != len(t.Runs) {
		return t, fmt.Errorf("read %s: %d rows of cells for %d runs", path, len(t.Cells), len(t.Runs))
	}
	for i, row := range t.Cells {
		if len(row) != len(t.Runs) {
			return t, fmt.Errorf("read %s: row %d has %d cells for %d runs", path, i, len(row), len(t.Runs))
		}
	}
	return t, nil
}
