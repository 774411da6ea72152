package trainer

import (
	"fmt"

	"actfleet/shard"
	"actfleet/trainer/coder"
	"actfleet/trainer/recipe"
	"actfleet/trainer/vq"
)

// Memory is what trainings will take at most, in bytes, planned from their configs
// alone.
type Memory struct {
	Learners []int64 // weights, gradients, moments and work of each job
	Reading  int64   // windows and batches of all feeds
	Feeds    int
}

// program is what a process takes besides: libtorch, and pages of shards that it maps.
const program = 256 << 20

// GCPercent is how much garbage the plan leaves room for, as debug.SetGCPercent takes it.
// Nearly all memory is arrays without pointers, which the collector does not look through.
const GCPercent = 25

// Total is the sum, with the program and with room for garbage.
func (m Memory) Total() int64 {
	sum := m.Reading
	for _, n := range m.Learners {
		sum += n
	}
	return program + sum + sum*GCPercent/100
}

// PlanMemory plans what TrainAll of the jobs will take. The sample of the first step and
// a micro-batch's activations are counted once a learner.
func PlanMemory(jobs []Job) (m Memory, err error) {
	seen := map[reading]bool{}
	for _, j := range jobs {
		d, size, err := vectorOf(j)
		if err != nil {
			return m, err
		}
		m.Learners = append(m.Learners, learnerBytes(j, d))
		if r := readingOf(j); !seen[r] {
			seen[r] = true
			m.Feeds++
			windows := 2 * int64(j.Recipe.Data.ShuffleWindow) * shard.RowGroupRows * d * size
			batches := 2 * (recipe.Prefetch + 2) * int64(j.Recipe.Loop.Batch) * d * 4
			m.Reading += windows + batches + int64(j.Recipe.Loop.InitRows)*d*4
		}
	}
	return m, nil
}

// vectorOf is the length of a job's rows and the bytes of an element.
func vectorOf(j Job) (d, size int64, err error) {
	s := j.Runs[0].Plan.Schema()
	for _, name := range append([]string{j.Column}, j.Recipe.Beside()...) {
		at, ok := s.VectorIndex(name)
		if !ok {
			return 0, 0, fmt.Errorf("the run holds no column %s", name)
		}
		d, size = d+int64(s.Vectors[at].Width), max(size, int64(s.Vectors[at].Dtype.Size()))
	}
	return d, size, nil
}

// learnerBytes counts four arrays of every weight (value, gradient, two moments) and one
// for what is written, the activations of the rows computed at once, and a sample.
func learnerBytes(j Job, d int64) int64 {
	c := j.Recipe
	rows := int64(min(c.Loop.Micro, c.Loop.Batch))
	if j.Recipe.Kind == coder.VQ {
		c.Resolve(int(d), 0)
		return c.VQ.Learner(c.Loop, 0).Memory(vq.Dims{Row: int(d), Ids: c.VQ.Ids, Codes: c.VQ.Codes}, rows, int64(c.Loop.InitRows))
	}
	m := int64(c.SAE.Width)
	weights := 2*m*d + 3*m + d
	work := rows*(m+6*d)*4 + int64(c.Loop.Batch)*d*4
	return weights*5*4 + work + int64(c.Loop.InitRows)*d*8
}
