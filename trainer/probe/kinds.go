package probe

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"actfleet/trainer/coder"
)

// The kinds of probes.
const (
	Logistic    = "logistic"
	LogisticL1  = "logistic_l1"
	ElasticNet  = "elastic_net"
	Ridge       = "ridge"
	BayesRidge  = "bayes_ridge"
	SVM         = "svm"
	LDA         = "lda"
	MassMean    = "mass_mean"
	MassMeanIID = "mass_mean_iid"
	Sparse      = "k_sparse"
	MLP         = "mlp"
	Laplace     = "laplace"
	TTPD        = "ttpd"
	LAT         = "lat"
	CCS         = "ccs"
	VINC        = "vinc"
	RankMSE     = "rank_mse"
	RankBCE     = "rank_bce"
	RankMargin  = "rank_margin"
)

// kind is one way to fit a probe.
type kind struct {
	help     string
	pairs    bool // it needs Rows.Pair
	polarity bool // it needs Rows.Polarity
	sized    bool // its arrays are of Fit.Size vectors
	fit      func(p *problem) (Model, coder.Fit)
	empty    func(f coder.Fit) Model // with room for the arrays of such a fit
}

var kinds = map[string]kind{
	Logistic:    {help: "regression, L2 penalty", fit: fitLogistic, empty: emptyLogistic},
	LogisticL1:  {help: "regression, L1 penalty", fit: fitL1, empty: emptyLinear},
	ElasticNet:  {help: "regression, half L1, half L2", fit: fitElasticNet, empty: emptyLinear},
	Ridge:       {help: "least squares on ±1, L2 penalty", fit: fitRidge, empty: emptyLinear},
	BayesRidge:  {help: "ridge whose penalty is the evidence's", fit: fitBayesRidge, empty: emptyLinear},
	SVM:         {help: "linear, squared hinge", fit: fitSVM, empty: emptyLinear},
	LDA:         {help: "discriminant analysis, Ledoit-Wolf shrinkage", fit: fitLDA, empty: emptyLinear},
	MassMean:    {help: "difference of the class means", fit: fitMassMean, empty: emptyLinear},
	MassMeanIID: {help: "the same over the pooled covariance", fit: fitMassMeanIID, empty: emptyLinear},
	Sparse:      {help: "regression on the k features whose means differ most", fit: fitSparse, empty: emptyLinear},
	MLP:         {help: "one hidden layer", sized: true, fit: fitMLP, empty: emptyMLP},
	Laplace:     {help: "regression with a posterior over its weights", sized: true, fit: fitLaplace, empty: emptyLaplace},
	TTPD:        {help: "truth and polarity direction", polarity: true, fit: fitTTPD, empty: emptyLinear},
	LAT:         {help: "first principal direction of pairs' differences", pairs: true, fit: fitLAT, empty: emptyLinear},
	CCS:         {help: "contrast-consistent search on pairs", pairs: true, polarity: true, fit: fitCCS, empty: emptyLinear},
	VINC:        {help: "variance, invariance, negative covariance on pairs", pairs: true, polarity: true, fit: fitVINC, empty: emptyLinear},
	RankMSE:     {help: "which of a pair, smooth L1 loss", pairs: true, fit: fitRankMSE, empty: emptyLinear},
	RankBCE:     {help: "which of a pair, logistic loss", pairs: true, fit: fitRankBCE, empty: emptyLinear},
	RankMargin:  {help: "which of a pair, squared hinge", pairs: true, fit: fitRankMargin, empty: emptyLinear},
}

// rows is how many vectors of D values the arrays of such a fit hold at least.
func (k kind) rows(f coder.Fit) int {
	if k.sized {
		return f.Size
	}
	return 1
}

// Kinds are the names of all kinds of probes, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// KindHelp is all kinds with what each is, for help texts.
func KindHelp() string {
	var all []string
	for _, name := range Kinds() {
		all = append(all, name+" ("+kinds[name].help+")")
	}
	return strings.Join(all, ", ")
}

// CheckKind refuses a name that is no kind of probe.
func CheckKind(name string) error {
	if _, ok := kinds[name]; !ok {
		return fmt.Errorf("unknown probe %q: want %s", name, strings.Join(Kinds(), ", "))
	}
	return nil
}

// needs tells whether a kind of the list needs pairs, and whether one needs polarities.
func needs(names []string) (pairs, polarity bool) {
	for _, name := range names {
		pairs, polarity = pairs || kinds[name].pairs, polarity || kinds[name].polarity
	}
	return pairs, polarity
}
