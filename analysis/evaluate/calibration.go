package evaluate

import (
	"math"

	"actfleet/analysis/calibrate"
)

// Calibration is what the probabilities of one probe are worth as they are, and after calibration on rows that took no
// part in fitting it.
type Calibration struct {
	Probe  string                `json:"probe"`  // its id
	On     string                `json:"on"`     // the split whose rows were calibrated on
	N      int                   `json:"n"`      // one row of each of its groups
	Splits map[string]Calibrated `json:"splits"` // the others but train
}

// Calibrated is what calibration gives on one split.
type Calibrated struct {
	Methods   []Method   `json:"methods"`
	Sets      []Sets     `json:"sets"`
	Alarms    []Alarm    `json:"alarms"`
	Decisions []Decision `json:"decisions"`
}

// Method is a way to make probabilities, with their errors.
type Method struct {
	Name    string `json:"name"` // none, platt, isotonic, venn_abers
	Brier   Value  `json:"brier"`
	LogLoss Value  `json:"log_loss"` // mean −log P(y), P at least 1e-12
	ECE     Value  `json:"ece"`
}

// Sets are conformal prediction sets that should hold the true label in a share of 1−alpha of the rows.
type Sets struct {
	Alpha    float64 `json:"alpha"`
	Mondrian bool    `json:"mondrian"`          // for each label by itself
	Coverage Value   `json:"coverage"`          // share of rows whose set holds the label
	Negative Value   `json:"coverage_negative"` // of those with label 0
	Positive Value   `json:"coverage_positive"`
	One      Value   `json:"one"`   // share of sets of one label
	Empty    Value   `json:"empty"` // share of sets of none
}

// Alarm is the threshold for a wanted rate of false positives, with 95 % confidence. Where there are fewer negatives to
// calibrate on than Needs, there is no threshold.
type Alarm struct {
	Wanted    float64 `json:"wanted_fpr"`
	Needs     int     `json:"needs_negatives"`
	Threshold Value   `json:"threshold"`
	FPR       Value   `json:"fpr"` // on this split
	Recall    Value   `json:"recall"`
}

// Decision is the net benefit of acting where the probability exceeds a threshold: true positives less false positives
// weighed by the odds of the threshold, per row (Vickers and Elkin 2006). Acting nowhere gives 0.
type Decision struct {
	Threshold float64 `json:"threshold"`
	Probe     Value   `json:"probe"`
	All       Value   `json:"all"` // acting everywhere
}

// What is asked of every calibration.
var (
	alphas     = []float64{0.05, 0.1}
	wantedFPR  = []float64{0.01, 0.05}
	thresholds = []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}
)

const confidence = 0.95

// Calibrate fits calibrations to one row of each group of the split on, and measures them on the other splits but train.
// Scores are probabilities.
func Calibrate(id, on string, splits map[string]Sample) Calibration {
	rows := splits[on]
	at := calibrate.OnePerGroup(rows.Group)
	c := calibrator{}
	for _, i := range at {
		c.p, c.positive, c.odds = append(c.p, rows.Score[i]), append(c.positive, rows.Positive[i]), append(c.odds, calibrate.LogOdds(rows.Score[i]))
	}
	out := Calibration{Probe: id, On: on, N: len(at), Splits: map[string]Calibrated{}}
	for name, s := range splits {
		if name != on && name != "train" && len(s.Score) > 0 && len(at) > 0 {
			out.Splits[name] = Calibrated{c.methods(s), c.sets(s), c.alarms(s), Decisions(s)}
		}
	}
	return out
}

// calibrator is the rows that are calibrated on.
type calibrator struct {
	p, odds  []float64
	positive []bool
}

func (c calibrator) methods(s Sample) (out []Method) {
	platt, isotonic, venn := calibrate.NewPlatt(c.odds, c.positive), calibrate.NewIsotonic(c.p, c.positive), calibrate.NewVennAbers(c.p, c.positive)
	for _, m := range []struct {
		name  string
		value func(p float64) float64
	}{
		{"none", func(p float64) float64 { return p }},
		{"platt", func(p float64) float64 { return platt.Value(calibrate.LogOdds(p)) }},
		{"isotonic", isotonic.Value},
		{"venn_abers", venn.Value},
	} {
		p := make([]float64, len(s.Score))
		for i, v := range s.Score {
			p[i] = m.value(v)
		}
		out = append(out, Method{m.name, Value(Brier(p, s.Positive)), Value(logLoss(p, s.Positive)), Value(ECE(p, s.Positive, Options{}.withDefaults().Bins))})
	}
	return out
}

// Brier is the mean of (P − y)² (Brier 1950). NaN without rows.
func Brier(p []float64, positive []bool) (sum float64) {
	for i, v := range p {
		d := v - float64(class(positive[i]))
		sum += d * d
	}
	return sum / float64(len(p))
}

func logLoss(p []float64, positive []bool) (sum float64) {
	for i, v := range p {
		if !positive[i] {
			v = 1 - v
		}
		sum -= math.Log(max(v, 1e-12))
	}
	return sum / float64(len(p))
}

func (c calibrator) sets(s Sample) (out []Sets) {
	for _, alpha := range alphas {
		for _, mondrian := range []bool{false, true} {
			set := calibrate.NewConformal(c.p, c.positive, alpha, mondrian)
			var held, rows [2]float64
			var one, empty float64
			for i, p := range s.Score {
				k := class(s.Positive[i])
				in := [2]bool{}
				in[0], in[1] = set.Set(p)
				rows[k]++
				held[k] += float64(class(in[k]))
				one += float64(class(in[0] != in[1]))
				empty += float64(class(!in[0] && !in[1]))
			}
			n := rows[0] + rows[1]
			out = append(out, Sets{alpha, mondrian, Value((held[0] + held[1]) / n), Value(held[0] / rows[0]), Value(held[1] / rows[1]), Value(one / n), Value(empty / n)})
		}
	}
	return out
}

func (c calibrator) alarms(s Sample) (out []Alarm) {
	for _, wanted := range wantedFPR {
		t := calibrate.Threshold(c.p, c.positive, wanted, confidence)
		a := Alarm{Wanted: wanted, Needs: calibrate.NegativesNeeded(wanted, confidence), Threshold: Value(t), FPR: Value(math.NaN()), Recall: Value(math.NaN())}
		if a.Threshold.Defined() {
			fpr, recall := rates(s, t)
			a.FPR, a.Recall = Value(fpr), Value(recall)
		}
		out = append(out, a)
	}
	return out
}

// rates are the shares of the negatives and of the positives above a threshold.
func rates(s Sample, t float64) (fpr, recall float64) {
	var above, rows [2]float64
	for i, p := range s.Score {
		k := class(s.Positive[i])
		rows[k]++
		above[k] += float64(class(p > t))
	}
	return above[0] / rows[0], above[1] / rows[1]
}

// Decisions is the decision curve of a sample whose scores are probabilities.
func Decisions(s Sample) (out []Decision) {
	n := float64(len(s.Score))
	var positives float64
	for _, y := range s.Positive {
		positives += float64(class(y))
	}
	for _, t := range thresholds {
		fpr, recall := rates(s, t)
		odds := t / (1 - t)
		share := positives / n
		d := Decision{t, 0, Value(share - (1-share)*odds)}
		if positives > 0 {
			d.Probe += Value(recall * share)
		}
		if positives < n {
			d.Probe -= Value(fpr * (1 - share) * odds)
		}
		out = append(out, d)
	}
	return out
}
