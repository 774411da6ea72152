package evaluate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// Names of the baselines, as they stand in results.json and in the report.
const (
	BaselineMajority = "majority"      // always the commoner label of the training split
	BaselineRandom   = "random"        // random directions of the same activations
	BaselineModel    = "model answer"  // the model's own p_yes
	BaselineWords    = "bag of words"  // naive Bayes over the words of the text
	BaselineNGrams   = "n-grams"       // naive Bayes over words and pairs of neighbours
	BaselineEmbed    = "embedding"     // the chosen kind of probe on what the first block reads
	BaselineShuffled = "shuffled"      // the chosen probe fitted to labels in a random order
	BaselineLength   = "prompt length" // the number of characters of the text
)

// Majority always gives the commoner label of the training labels; its AUROC is
// one half by definition, where both labels are there, and its accuracy comes with a clustered interval.
func Majority(train []bool, test Sample, split string, o Options) Baseline {
	hits := 0
	for _, p := range train {
		if p {
			hits++
		}
	}
	answer := 2*hits > len(train)
	ok := make([]bool, len(test.Positive))
	for i, p := range test.Positive {
		ok[i] = p == answer
	}
	o = o.withDefaults()
	acc := ClusteredWilson(ok, GroupIndex(test.Group), o.Level)
	half := Value(AUROC(make([]float64, len(ok)), test.Positive))
	return Baseline{Name: BaselineMajority, Split: split, N: len(ok), AUROC: half, Lo: half, Hi: half,
		Acc: Value(share(ok)), AccLo: Value(acc.Lo), AccHi: Value(acc.Hi)}
}

func share(ok []bool) float64 {
	n := 0
	for _, v := range ok {
		if v {
			n++
		}
	}
	if len(ok) == 0 {
		return math.NaN()
	}
	return float64(n) / float64(len(ok))
}

// Scored measures a baseline that gives each row a score, such as the model's
// own p_yes or a TextBaseline.
func Scored(name, split string, s Sample, o Options) Baseline {
	m := Evaluate(s, o)
	return Baseline{Name: name, Split: split, N: m.N, AUROC: m.AUROC, Lo: m.AUROCLo, Hi: m.AUROCHi, Acc: m.Acc, AccLo: m.AccLo, AccHi: m.AccHi}
}

// Features are the activations of the rows of one split, row-major [N, D], with
// their labels.
type Features struct {
	X        []float32 // [N, D]
	D        int       // width of a row
	Positive []bool    // [N]
}

func (f Features) check() error {
	if f.D < 1 || len(f.X) != f.D*len(f.Positive) {
		return fmt.Errorf("features hold %d values for %d rows of %d", len(f.X), len(f.Positive), f.D)
	}
	return nil
}

// RandomDirections is what a probe must beat to have found a direction at all:
// isotropic Gaussian directions, each with its sign set on the training rows as
// a probe's would be. AUROC is the median over directions on the test rows, Lo
// and Hi are the 5 % and 95 % quantiles (not a confidence interval).
func RandomDirections(train, test Features, split string, directions int, seed uint64) (Baseline, error) {
	if err := train.check(); err != nil {
		return Baseline{}, err
	}
	if err := test.check(); err != nil {
		return Baseline{}, err
	}
	if train.D != test.D || directions < 1 {
		return Baseline{}, fmt.Errorf("%d random directions: training rows of %d values, test rows of %d", directions, train.D, test.D)
	}
	rng := rand.New(rand.NewPCG(seed, 0x72616e64)) // its own stream: "rand"
	w := make([]float32, directions*train.D)
	for i := range w {
		w[i] = float32(rng.NormFloat64())
	}
	a, b := project(train, w, directions), project(test, w, directions)
	values := make([]float64, directions)
	for k := range values {
		values[k] = AUROC(b[k], test.Positive)
		if AUROC(a[k], train.Positive) < 0.5 {
			values[k] = 1 - values[k]
		}
	}
	slices.Sort(values)
	nan := Value(math.NaN())
	return Baseline{Name: BaselineRandom, Split: split, N: len(test.Positive), Acc: nan, AccLo: nan, AccHi: nan,
		AUROC: Value(quantile(values, .5)), Lo: Value(quantile(values, .05)), Hi: Value(quantile(values, .95))}, nil
}

// Shuffled measures what a probe makes of labels in a random order, once for each order: AUROC is the median on the rows of
// a split, Lo and Hi are the 5 % and 95 % quantiles (not a confidence interval).
func Shuffled(scores [][]float64, positive []bool, split string) Baseline {
	values := make([]float64, len(scores))
	for i, s := range scores {
		values[i] = AUROC(s, positive)
	}
	values = slices.DeleteFunc(values, math.IsNaN)
	nan := Value(math.NaN())
	b := Baseline{Name: BaselineShuffled, Split: split, N: len(positive), AUROC: nan, Lo: nan, Hi: nan, Acc: nan, AccLo: nan, AccHi: nan}
	if len(values) > 0 {
		slices.Sort(values)
		b.AUROC, b.Lo, b.Hi = Value(quantile(values, .5)), Value(quantile(values, .05)), Value(quantile(values, .95))
	}
	return b
}

// project returns the scores of the rows along each direction, [K][N].
func project(f Features, w []float32, directions int) [][]float64 {
	n := len(f.Positive)
	scores := make([][]float64, directions)
	for k := range scores {
		scores[k] = make([]float64, n)
	}
	const block = 512 // rows at once: the product stays in the cache
	out := make([]float32, block*directions)
	wm := blas32.General{Rows: directions, Cols: f.D, Stride: f.D, Data: w}
	for lo := 0; lo < n; lo += block {
		rows := min(block, n-lo)
		x := blas32.General{Rows: rows, Cols: f.D, Stride: f.D, Data: f.X[lo*f.D : (lo+rows)*f.D]}
		y := blas32.General{Rows: rows, Cols: directions, Stride: directions, Data: out[:rows*directions]}
		blas32.Gemm(blas.NoTrans, blas.Trans, 1, x, wm, 0, y)
		for i := range rows {
			for k := range directions {
				scores[k][lo+i] = float64(y.Data[i*directions+k])
			}
		}
	}
	return scores
}

// TextBaseline learns from the training texts alone and scores the test texts.
type TextBaseline func(train []string, positive []bool, test []string) []float64

// BagOfWords is multinomial naive Bayes over lower-case words
// with add-one smoothing; the scores are probabilities. A probe that does not
// beat it may have found the words and not the truth.
func BagOfWords(train []string, positive []bool, test []string) []float64 {
	return naiveBayes(train, positive, test, func(text string) []string { return strings.Fields(normal(text)) })
}

// NGrams is BagOfWords over words and pairs of neighbouring words.
func NGrams(train []string, positive []bool, test []string) []float64 {
	return naiveBayes(train, positive, test, func(text string) []string {
		words := strings.Fields(normal(text))
		grams := slices.Clone(words)
		for i := 1; i < len(words); i++ {
			grams = append(grams, words[i-1]+" "+words[i])
		}
		return grams
	})
}

func naiveBayes(train []string, positive []bool, test []string, terms func(string) []string) []float64 {
	var counts [2]map[string]float64
	var total, docs [2]float64
	counts[0], counts[1] = map[string]float64{}, map[string]float64{}
	vocabulary := map[string]bool{}
	for i, text := range train {
		c := class(positive[i])
		docs[c]++
		for _, word := range terms(text) {
			counts[c][word]++
			total[c]++
			vocabulary[word] = true
		}
	}
	v := float64(len(vocabulary))
	scores := make([]float64, len(test))
	for i, text := range test {
		logit := math.Log((docs[1] + 1) / (docs[0] + 1))
		for _, word := range terms(text) {
			if vocabulary[word] {
				logit += math.Log((counts[1][word]+1)/(total[1]+v)) - math.Log((counts[0][word]+1)/(total[0]+v))
			}
		}
		scores[i] = 1 / (1 + math.Exp(-logit))
	}
	return scores
}

// Length scores a text by its length in characters, turned so that a higher
// score means positive on the training texts: the position of the length among
// the training lengths, in [0, 1].
func Length(train []string, positive []bool, test []string) []float64 {
	lengths := make([]float64, len(train))
	for i, t := range train {
		lengths[i] = float64(len([]rune(t)))
	}
	down := AUROC(lengths, positive) < 0.5
	sorted := slices.Sorted(slices.Values(lengths))
	scores := make([]float64, len(test))
	for i, t := range test {
		at, _ := slices.BinarySearch(sorted, float64(len([]rune(t))))
		scores[i] = float64(at) / float64(max(1, len(sorted)))
		if down {
			scores[i] = 1 - scores[i]
		}
	}
	return scores
}

func class(positive bool) int {
	if positive {
		return 1
	}
	return 0
}
