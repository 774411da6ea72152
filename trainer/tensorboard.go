package trainer

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"actfleet/trainer/coder"
	"actfleet/trainer/tfevents"
)

// evalSplit is the split of held-out rows.
const evalSplit = "eval"

// openBoard begins an event file for TensorBoard after the present step, when metrics.jsonl
// has been taken back to it: the events after it go, and where there are none, as in a
// folder of another machine, those of metrics.jsonl are written anew.
func openBoard(t *training) error {
	if t.resumes {
		err := tfevents.Cut(t.Dir, func(e tfevents.Event) bool {
			return e.Step > int64(t.Step) || e.Step >= int64(t.Recipe.Loop.Steps) && strings.HasPrefix(e.Values[0].Tag, evalSplit+"/")
		})
		if err != nil {
			return err
		}
	}
	there, err := tfevents.Files(t.Dir)
	if err != nil {
		return err
	}
	before, now := t.Step, t.Now()
	if len(there) == 0 {
		before = -1
	}
	if t.board, err = tfevents.Create(t.Dir, now, t.Host, before); err != nil || len(there) > 0 {
		return err
	}
	lines, err := coder.ReadEvents(filepath.Join(t.Dir, coder.MetricsFile))
	var past []tfevents.Event
	for _, e := range lines {
		past = append(past, boardEvent(e, now.Add(-seconds(t.Seconds-e.Seconds))))
	}
	if len(past) == 0 {
		return err
	}
	return errors.Join(err, t.board.Append(past...))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// boardEvent is an event with its values under split/name.
func boardEvent(e coder.Event, at time.Time) tfevents.Event {
	out := tfevents.Event{Time: at, Step: int64(e.Step)}
	values := maps.Clone(e.Values)
	if values == nil {
		values = map[string]float64{}
	}
	values["tokens"], values["starved"] = float64(e.Rows), e.DataWaitFraction
	for _, name := range slices.Sorted(maps.Keys(values)) {
		out.Values = append(out.Values, tfevents.Value{Tag: e.Split + "/" + name, Scalar: float32(values[name])})
	}
	if e.Density != nil {
		out.Values = append(out.Values, tfevents.Value{Tag: e.Split + "/log10_density", Histogram: histogramOf(*e.Density)})
	}
	return out
}

// histogramOf counts every latent that fired at the middle of its bin. TensorBoard takes the
// least and the greatest for the outer ends of the first bin and of the last.
func histogramOf(h coder.Histogram) *tfevents.Histogram {
	out := &tfevents.Histogram{Min: h.From, Max: h.From + float64(len(h.Count))*h.Width}
	for i, count := range h.Count {
		high, n := h.From+float64(i+1)*h.Width, float64(count)
		mid := high - h.Width/2
		out.Limit, out.Count = append(out.Limit, high), append(out.Count, n)
		out.Num, out.Sum, out.SumSquares = out.Num+n, out.Sum+n*mid, out.SumSquares+n*mid*mid
	}
	return out
}
