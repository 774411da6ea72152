package model_test

import (
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"actfleet/collector/model"
	"actfleet/internal/torch"
	"actfleet/internal/torch/fakegpu"
	"actfleet/shard/tap"
)

// gpus are the targets of copies on devices of the GPU for tests, a copy for each list of numbers.
func gpus(compute torch.Dtype, copies ...[]torch.Device) (targets []model.Target) {
	for _, devices := range copies {
		targets = append(targets, model.Target{Compute: compute, Devices: devices})
	}
	return targets
}

// Every fixture on one device, split over two and as two copies, in fp32 and bf16, with taps, logits and prefixes: as
// near to Hugging Face as on the CPU, and the same bits however the blocks lie.
func TestFakeGPUModels(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			fakegpu.Open(t)
			dir := filepath.Join("modeltest", "testdata", name)
			_, ref := load(t, name)
			one, err := model.LoadOn(dir, gpus(torch.F32, []torch.Device{0})[0])
			if err != nil {
				t.Fatal(err)
			}
			compare(t, one, ref, ref.Prompts, numbers(len(ref.Prompts)), map[string]float64{})
			onDevices(t, dir, torch.F32, outputs(t, one))

			half, err := model.LoadOn(dir, gpus(torch.BF16, []torch.Device{0})[0])
			if err != nil {
				t.Fatal(err)
			}
			if worst := distances(t, half, ref); max(worst.tap, worst.act/2, worst.logits) > 0.2 {
				t.Errorf("bf16: taps, act and logits are off by %v of the RMS", worst)
			}
			onDevices(t, dir, torch.BF16, outputs(t, half))
		})
	}
}

// onDevices checks that a model split over two devices, and two copies on two, give the bits of one device.
func onDevices(t *testing.T, dir string, compute torch.Dtype, want []float32) {
	t.Helper()
	split, err := model.LoadOn(dir, gpus(compute, []torch.Device{0, 1})[0])
	if err != nil {
		t.Fatal(err)
	}
	sameBits(t, "split", outputs(t, split), want)
	copies, err := model.LoadCopies(dir, gpus(compute, []torch.Device{2}, []torch.Device{3}))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range copies.Passes() {
		wg.Go(func() { sameBits(t, "copies", outputs(t, copies), want) })
	}
	wg.Wait()
}

func numbers(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// Every fixture, split over two devices, goes on as transformers does.
func TestFakeGPUGoesOn(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			fakegpu.Open(t)
			_, ref := load(t, name)
			m, err := model.LoadOn(filepath.Join("modeltest", "testdata", name), gpus(torch.F32, []torch.Device{0, 1})[0])
			if err != nil {
				t.Fatal(err)
			}
			goesOn(t, m, name, ref.Prompts)
		})
	}
}

// A model that does not fit is refused in words.
func TestFakeGPUTooSmall(t *testing.T) {
	fakegpu.Open(t)
	fakegpu.Limit(64 << 10)
	_, err := model.LoadOn(filepath.Join("modeltest", "testdata", "llama-3"), gpus(torch.F32, []torch.Device{3})[0])
	if !torch.OutOfMemory(err) {
		t.Errorf("a model in 64 kB: %v", err)
	}
}

func TestFakeGPUNext(t *testing.T) {
	fakegpu.Open(t)
	m, err := model.LoadOn(filepath.Join("modeltest", "testdata", "phi-a"), gpus(torch.F32, []torch.Device{1, 2})[0])
	if err != nil {
		t.Fatal(err)
	}
	askNext(t, m, 1e-5)
}

// A patch on a GPU, split or not, gives the CPU's states, and brings the rows it names to the host and no other, through
// pinned memory that is made once.
func TestFakeGPUPatch(t *testing.T) {
	fakegpu.Open(t)
	dir := filepath.Join("modeltest", "testdata", "phi-a")
	patched := func(m *model.Model) (states []float32) {
		taps := []tap.Tap{{Site: tap.FC2, Layer: 0}, {Site: tap.Resid, Layer: m.Info().Layers - 1}}
		r := model.Request{IDs: [][]int32{{1, 5, 9, 2, 40, 7, 3, 11}, {2, 4, 4}}}
		r.Patch = &model.Patch{Taps: taps, At: []int32{7, 9}, With: func(i int, rows model.Rows) (bool, error) {
			if i == 1 {
				states = slices.Clone(rows.F32)
			}
			clear(rows.F32)
			return i == 0, nil
		}}
		if _, err := m.Forward(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		return states
	}
	cpu, err := model.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := patched(cpu)
	for _, devices := range [][]torch.Device{{0}, {2, 1}} {
		m, err := model.LoadOn(dir, gpus(torch.F32, devices)[0])
		if err != nil {
			t.Fatal(err)
		}
		for pass := range 2 {
			fakegpu.Reset()
			got := patched(m)
			for i := range want {
				if d := got[i] - want[i]; max(d, -d) > 1e-4 {
					t.Fatalf("%v, value %d: %g, on the CPU %g", devices, i, got[i], want[i])
				}
			}
			_, down := fakegpu.Count("d2h pinned blocking")
			_, up := fakegpu.Count("h2d pinned blocking")
			others, _ := fakegpu.Count("d2h pageable blocking")
			made, _ := fakegpu.Count("pinned alloc")
			if rows := int64(4 * 2 * m.Info().Hidden); down != 2*rows || up != rows || others != 0 || pass > 0 && made != 0 {
				t.Errorf("%v, pass %d: %d bytes down, %d up, want %d and %d:\n%s", devices, pass, down, up, 2*rows, rows, fakegpu.Counts())
			}
		}
	}
}

// What a pass may cost: of the kept rows two bytes a value come to the host and nothing else of the taps, of the logits four
// bytes a prompt for each probability asked for; the host waits twice at most, and pinned memory is made in the first pass
// alone.
func TestFakeGPUBudget(t *testing.T) {
	for _, name := range []string{"phi-a", "gpt2", "gemma3"} {
		t.Run(name, func(t *testing.T) {
			fakegpu.Open(t)
			m, err := model.LoadOn(filepath.Join("modeltest", "testdata", name), gpus(torch.F32, []torch.Device{0})[0])
			if err != nil {
				t.Fatal(err)
			}
			r := model.Request{IDs: [][]int32{{1, 5, 9, 2, 40, 7, 3, 11}, {2}, {4, 4, 4, 4, 4}}, Taps: everyTap(t, m)}
			r.Next = &model.Next{Sets: [][]int32{{3}, {1, 7}}, Emit: func(model.Chances) {}}
			rows, values := 0, 0
			r.Kept = &model.Kept{At: []int32{0, 7, 8, 18, 20}, F32: make([]bool, len(r.Taps)), Emit: func(i int, got model.Rows) error {
				rows += got.Len()
				values += got.Len() * m.Width(r.Taps[i])
				return nil
			}}
			for pass := range 3 {
				fakegpu.Reset()
				rows, values = 0, 0
				if _, err := m.Forward(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				if rows != len(r.Taps)*len(r.Kept.At) {
					t.Errorf("%d rows came", rows)
				}
				_, fetched := fakegpu.Count("d2h pinned")
				_, chances := fakegpu.Count("d2h pageable blocking")
				if fetched != int64(2*values) || chances != int64(4*len(r.IDs)*len(r.Next.Sets)) {
					t.Errorf("pass %d: %d bytes of taps and %d of probabilities came to the host, want %d and %d", pass, fetched, chances, 2*values, 4*len(r.IDs)*len(r.Next.Sets))
				}
				waits, _ := fakegpu.Count("wait")
				pinned, _ := fakegpu.Count("pinned alloc")
				if pass > 0 && (waits > 2 || pinned > 0) {
					t.Errorf("pass %d waits %d times and makes pinned memory %d times:\n%s", pass, waits, pinned, fakegpu.Counts())
				}
			}
		})
	}
}
