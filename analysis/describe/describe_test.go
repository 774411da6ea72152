package describe

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store/mem"
)

// planted writes columns of which each has one fault: a sink at position 0, an outlier channel, four directions in use,
// values beyond fp16, one and the same row throughout, and none.
func planted(t *testing.T) (*Report, Prompts) {
	t.Helper()
	const width = 32
	rows := make([]shardtest.Row, 300)
	p := Prompts{}
	for i := range rows {
		rows[i] = shardtest.Row{Tokens: 6 + i%5}
		p.Texts = append(p.Texts, fmt.Sprintf("statement %d tells of the number %d and of nothing else at all", i, i*i))
		p.Labels = append(p.Labels, fmt.Sprint(min(1, i/280)))
		p.Groups = append(p.Groups, fmt.Sprint(i/2))
	}
	p.Texts[10], p.Texts[11] = p.Texts[0], p.Texts[10] // one of another group, one of its own
	names := []string{"sink_0", "outlier_0", "flat_0", "huge_0", "same_0", "plain_0"}
	r := shardtest.Run{Rows: rows, Tokens: "all", Units: 5, Fill: func(column int, row int64, pos int32, dst []float32) {
		rng := rand.New(rand.NewPCG(uint64(row), uint64(pos)))
		for j := range dst {
			dst[j] = float32(rng.NormFloat64())
		}
		switch names[column] {
		case "sink_0":
			if pos == 0 {
				for j := range dst {
					dst[j] *= 300
				}
			}
		case "outlier_0":
			dst[7] *= 100
		case "flat_0":
			clear(dst[4:])
		case "huge_0":
			dst[0] = 1e6
		case "same_0":
			for j := range dst {
				dst[j] = float32(j)
			}
		}
	}}
	for _, name := range names {
		r.Vectors = append(r.Vectors, shard.Vector{Name: name, Width: width, Dtype: shard.F16})
	}
	st := mem.New(time.Now)
	report, err := Run(t.Context(), st, r.Write(t, st), p, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	return report, p
}

func TestFindsWhatWasPlanted(t *testing.T) {
	r, p := planted(t)
	if r.Units != 5 || r.Done != 5 || r.Rows != 2400 || len(r.Columns) != 6 {
		t.Fatalf("%d of %d units, %d rows, %d columns", r.Done, r.Units, r.Rows, len(r.Columns))
	}
	q := r.Prompts
	if q.Prompts != len(p.Texts) || q.Repeated != 1 || q.LabelKinds != 2 || q.Labels[1] != (Count{"1", 20}) || q.Groups != 150 || q.Largest != 2 || q.Singletons != 0 {
		t.Errorf("prompts: %+v", q)
	}
	sink, outlier, flat, huge, same, plain := r.Columns[0], r.Columns[1], r.Columns[2], r.Columns[3], r.Columns[4], r.Columns[5]
	if n := sink.Norms; len(n.Positions) != 1 || n.Positions[0].Pos != 0 || n.Sinks == 0 || sink.Rank < 20 {
		t.Errorf("sink: %+v, rank %.1f", n, sink.Rank)
	}
	if len(outlier.Outliers) != 1 || outlier.Outliers[0].Index != 7 || outlier.Rank > 1.1 {
		t.Errorf("outlier: %v, rank %.1f", outlier.Outliers, outlier.Rank)
	}
	if flat.Constant != 28 || flat.Rank < 3.5 || flat.Rank > 4 {
		t.Errorf("flat: %d constant channels, rank %.1f", flat.Constant, flat.Rank)
	}
	if huge.Overflow != r.Rows {
		t.Errorf("huge: %d values overflowed", huge.Overflow)
	}
	if same.Distinct != 1 || same.MeanShare < 0.9999 || same.Rank != 0 {
		t.Errorf("same: %d distinct, mean %.4f, rank %.1f", same.Distinct, same.MeanShare, same.Rank)
	}
	if plain.Norms.Sinks != 0 || plain.Outliers != nil || math.Abs(plain.RMS-1) > 0.05 || plain.MeanShare > 0.05 || plain.Rank < 25 {
		t.Errorf("plain: %+v", plain)
	}
	said := strings.Join(r.Warnings, "\n")
	for _, part := range []string{"1 prompts repeat", "label 1 has 20 of 300", "huge_0: values that did not fit", "sink_0: attention sinks", "outlier_0: a few channels",
		"same_0: few different rows", "flat_0: channels that never change"} {
		if !strings.Contains(said, part) {
			t.Errorf("no %q in\n%s", part, said)
		}
	}
	if strings.Contains(said, "plain_0") {
		t.Errorf("plain_0 is blamed:\n%s", said)
	}
}

func TestEmptyAndBrokenRuns(t *testing.T) {
	st := mem.New(time.Now)
	r := shardtest.Run{Rows: make([]shardtest.Row, 4), Tokens: "last", Units: 2, Vectors: []shard.Vector{{Name: "resid_0", Width: 4, Dtype: shard.F32}}}
	for i := range r.Rows {
		r.Rows[i].Tokens = 3
	}
	if _, err := Run(t.Context(), st, r.Plan(), Prompts{}, func(int, int) {}); !errors.Is(err, ErrEmpty) {
		t.Errorf("no unit: %v", err)
	}
	plan := r.Write(t, st)
	plan.Vectors = []shard.Vector{{Name: "resid_0", Width: 4, Dtype: shard.F16}} // values of these units did not fit
	if wide, err := Run(t.Context(), st, plan, Prompts{}, func(int, int) {}); err != nil || wide.Columns[0].Rows == 0 {
		t.Errorf("a column that became fp32: %+v, %v", wide, err)
	}
	plan.Vectors = []shard.Vector{{Name: "resid_1", Width: 4, Dtype: shard.F32}}
	if _, err := Run(t.Context(), st, plan, Prompts{}, func(int, int) {}); err == nil || !strings.Contains(err.Error(), "resid_1") {
		t.Errorf("another column: %v", err)
	}
	if err := st.Delete(t.Context(), run.UnitKey(0)); err != nil {
		t.Fatal(err)
	}
	report, err := Run(t.Context(), st, r.Plan(), Prompts{}, func(int, int) {})
	if err != nil || report.Done != 1 || !strings.Contains(strings.Join(report.Warnings, " "), "1 of 2 units") {
		t.Errorf("half a run: %+v, %v", report, err)
	}
}
