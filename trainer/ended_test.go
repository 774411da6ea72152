package trainer

import (
	"os"
	"path/filepath"
	"testing"

	"actfleet/trainer/coder"
	"actfleet/trainer/recipe"
)

// A training has ended when its folder holds what this recipe makes of this data, what the data decides included.
func TestEnded(t *testing.T) {
	src := made(t)
	for _, kind := range []string{coder.SAE, coder.VQ} {
		j := job(t, kind, t.TempDir(), src)
		if Ended([]Job{j}) {
			t.Errorf("%s: ended before it began", kind)
		}
		if _, err := Train(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		if !Ended([]Job{j}) {
			t.Errorf("%s: not seen to have ended", kind)
		}
		for name, change := range map[string]func(*Job){
			"another seed":   func(j *Job) { j.Recipe.Seed++ },
			"another column": func(j *Job) { j.Column = "fc2_99" },
			"a fork":         func(j *Job) { j.Fork = true },
			"other data":     func(j *Job) { j.Runs = append(j.Runs, j.Runs...) },
			"more steps":     func(j *Job) { j.Recipe.Loop.Epochs, j.Recipe.Loop.Steps = 0, j.Recipe.Loop.Steps+1 },
			"decided by hand": func(j *Job) {
				j.Recipe.Data.HoldoutBy, j.Recipe.Loop.LR = "row", 0.123
			},
		} {
			other := j
			change(&other)
			if Ended([]Job{j, other}) {
				t.Errorf("%s: %s is taken for the same", kind, name)
			}
		}
		if err := os.Remove(filepath.Join(j.Dir, coder.WeightsFile)); err != nil {
			t.Fatal(err)
		}
		if Ended([]Job{j}) {
			t.Errorf("%s: ended without its weights", kind)
		}
	}
	if Ended(nil) || Ended([]Job{{Dir: t.TempDir(), Recipe: recipe.Default(coder.SAE)}}) {
		t.Error("nothing has ended")
	}
}
