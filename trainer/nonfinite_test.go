package trainer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/trainer/coder"
	"actfleet/trainer/optim"
)

// A training that diverges names step, tensor and cause, and keeps the batch.
func TestDivergenceKeepsBatch(t *testing.T) {
	j := job(t, coder.SAE, t.TempDir(), made(t))
	for _, set := range []string{"arch=relu_april", "optimizer=sgd", "lr=1000", "clip=0"} {
		if err := j.Recipe.Set(set); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Train(t.Context(), j)
	if !errors.Is(err, optim.ErrNonFinite) {
		t.Fatal(err)
	}
	kept, _ := filepath.Glob(filepath.Join(j.Dir, "nonfinite-step-*.safetensors"))
	if len(kept) != 1 || !strings.Contains(err.Error(), kept[0]) || !strings.Contains(err.Error(), "try a lower lr") {
		t.Fatalf("kept %v, error %v", kept, err)
	}
	if info, err := os.Stat(kept[0]); err != nil || info.Size() < int64(j.Recipe.Loop.Batch*width*4) {
		t.Errorf("%v, %v", info, err)
	}
}
