package report

import "fmt"

// transferView is a table of what was fitted on each run, measured on every other.
type transferView struct {
	ID, Name string
	Runs     []string
	Rows     []transferRow
}

type transferRow struct {
	Name, Probe, Worst string
	Cells              []transferCell
}

type transferCell struct {
	AUROC, Interval string
	Own             bool // the test split of the run itself
}

func transferOf(t Transfer, id string) transferView {
	v := transferView{ID: id, Name: t.Name, Runs: t.Runs}
	for i, name := range t.Runs {
		r := transferRow{Name: name, Worst: "–"}
		if at := t.Worst(i); at >= 0 {
			r.Worst = t.Runs[at]
		}
		for j, c := range t.Cells[i] {
			r.Probe = c.Probe
			cell := transferCell{plain(c.AUROC), limits(c.Lo, c.Hi), i == j}
			if c.Why != "" {
				cell.Interval = c.Why
			} else {
				cell.Interval += fmt.Sprintf(", %s rows", whole(int64(c.N)))
			}
			r.Cells = append(r.Cells, cell)
		}
		v.Rows = append(v.Rows, r)
	}
	return v
}
