package collector

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"actfleet/collector/model"
)

// Answers is what the model says at the end of prompts, beside the choices it was offered.
type Answers struct {
	Prompts  int     // this node computed
	Coverage float64 // mean probability of the two choices together
	Top      []Said  // what the model says most, of the first prompts, the likeliest first
}

// Said is a token with its mean probability.
type Said struct {
	Token string
	P     float64
}

const (
	answersLooked = 64 // prompts whose likeliest tokens are looked at
	answersTop    = 5  // tokens of a prompt, and of Answers
)

// answers gathers Answers; several goroutines may add.
type answers struct {
	mu      sync.Mutex
	prompts int
	cov     float64
	mass    map[int32]float64 // probability by token, over the prompts that were looked at
}

// top is how many of the likeliest tokens are wanted after the next prompts.
func (a *answers) top() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.prompts >= answersLooked {
		return 0
	}
	return answersTop
}

// add takes what comes after a prompt, with the choices' probability cov.
func (a *answers) add(cov float64, likeliest []model.Chance) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.prompts++
	a.cov += cov
	if a.prompts > answersLooked {
		return
	}
	if a.mass == nil {
		a.mass = map[int32]float64{}
	}
	for _, c := range likeliest {
		a.mass[c.ID] += c.P
	}
}

// summary is nil where no prompt was asked.
func (a *answers) summary(token func(id int32) string) *Answers {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.prompts == 0 {
		return nil
	}
	s := &Answers{Prompts: a.prompts, Coverage: a.cov / float64(a.prompts)}
	ids := slices.SortedFunc(maps.Keys(a.mass), func(x, y int32) int {
		return cmp.Or(cmp.Compare(a.mass[y], a.mass[x]), cmp.Compare(x, y))
	})
	for _, id := range ids[:min(answersTop, len(ids))] {
		s.Top = append(s.Top, Said{token(id), a.mass[id] / float64(min(a.prompts, answersLooked))})
	}
	return s
}
