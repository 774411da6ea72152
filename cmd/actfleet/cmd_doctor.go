package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"actfleet/internal/torch"
	"actfleet/internal/torch/reduce"
	"actfleet/shard/store"
	"actfleet/shard/store/local"
)

// finding is one thing doctor looked at.
type finding struct {
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Found  string `json:"found"`
	Advice string `json:"advice,omitempty"` // what to do when not OK
	// GPUs are those that libtorch can use, in the finding about devices.
	GPUs []gpuFound `json:"gpus,omitempty"`
	// Products are the CPU's matrix products, in the finding about them.
	Products *productsFound `json:"products,omitempty"`
}

// errProblem makes doctor fail after it has printed its list.
var errProblem = errors.New("doctor found problems")

func newDoctor() *cobra.Command {
	var jsonOut bool
	var dir string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check what actfleet needs on this machine, and say how to fix each problem",
		Long:  "Checks libtorch, devices and their links, matrix products, cores, memory, disk, the store and the network.\n" + exitCodes,
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return runDoctor(c.Context(), dir, jsonOut, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&dir, "dir", ".", "directory where runs will be kept")
	c.Flags().BoolVar(&jsonOut, "json", false, "print JSON")
	return c
}

func runDoctor(ctx context.Context, dir string, jsonOut bool, out io.Writer) error {
	found := []finding{lookTorch(), lookDevices(time.Now), lookProducts(time.Now), lookRanks(), lookCores(), lookMemory(), lookDisk(dir), lookStore(ctx, dir), lookPorts()}
	if err := ctx.Err(); err != nil {
		return err
	}
	problems := 0
	for _, f := range found {
		if !f.OK {
			problems++
		}
	}
	if jsonOut {
		if err := printJSON(out, found); err != nil {
			return err
		}
	} else {
		printFindings(out, found)
	}
	if problems > 0 {
		return fmt.Errorf("%w: %d", errProblem, problems)
	}
	return nil
}

func printFindings(out io.Writer, found []finding) {
	for _, f := range found {
		mark := "ok "
		if !f.OK {
			mark = "BAD"
		}
		fmt.Fprintf(out, "%s  %-9s %s\n", mark, f.What, f.Found)
		for _, gpu := range f.GPUs {
			fmt.Fprintf(out, "     %-9s %s\n", "", gpu)
		}
		if f.Advice != "" {
			fmt.Fprintf(out, "     %-9s → %s\n", "", f.Advice)
		}
	}
}

func lookTorch() finding {
	f := finding{What: "libtorch"}
	if err := torch.Load(); err != nil {
		f.Found, f.Advice = err.Error(), "run scripts/setup.sh; it finds or installs a libtorch and says what it lacks"
		return f
	}
	f.OK, f.Found = true, fmt.Sprintf("%s, matrix products by %s", torch.Version(), torch.BLAS())
	return f
}

// lookRanks never fails: everything but training on several processes works without.
func lookRanks() finding {
	f := finding{What: "ranks", OK: true, Found: "Gloo: train --join sums over processes"}
	if err := reduce.Available(); err != nil {
		f.Found = "no train --join: " + err.Error()
	}
	return f
}

func lookCores() finding {
	return finding{What: "cores", OK: true, Found: fmt.Sprintf("%d; nodes on one host share them (--threads)", runtime.NumCPU())}
}

func lookMemory() finding {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return finding{What: "memory", Found: err.Error()}
	}
	free := float64(info.Freeram+info.Bufferram) * float64(info.Unit)
	total := float64(info.Totalram) * float64(info.Unit)
	f := finding{What: "memory", OK: total > 2e9, Found: fmt.Sprintf("%s, %s free", bytesText(total), bytesText(free))}
	if !f.OK {
		f.Advice = "2 GB are needed to build, and a model in fp32 plus 300 MB to collect"
	}
	return f
}

func lookDisk(dir string) finding {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return finding{What: "disk", Found: fmt.Sprintf("%s: %v", dir, err), Advice: "name an existing directory with --dir"}
	}
	free := float64(fs.Bavail) * float64(fs.Bsize)
	f := finding{What: "disk", OK: free > 1e9, Found: fmt.Sprintf("%s free in %s", bytesText(free), dir)}
	if !f.OK {
		f.Advice = "collect --dry-run says how large a run gets; choose a larger disk with --out"
	}
	return f
}

// lookStore commits a small object twice: the second time must lose.
func lookStore(ctx context.Context, dir string) finding {
	f := finding{What: "store", Advice: "runs need a directory that can be written and where link(2) works"}
	tmp, err := os.MkdirTemp(dir, ".actfleet-doctor-")
	if err != nil {
		f.Found = err.Error()
		return f
	}
	defer os.RemoveAll(tmp)
	st, err := local.New(tmp)
	if err == nil {
		err = tryStore(ctx, st)
	}
	if err != nil {
		f.Found = err.Error()
		return f
	}
	abs, _ := filepath.Abs(dir)
	return finding{What: "store", OK: true, Found: "put-if-absent works in " + abs}
}

func lookPorts() finding {
	f := finding{What: "network", Advice: "a fleet on one host gossips over loopback; a fleet of one needs no network"}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Found = err.Error()
		return f
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		f.Found = err.Error()
		return f
	}
	defer udp.Close()
	return finding{What: "network", OK: true, Found: "TCP and UDP on loopback"}
}

// tryStore checks that of two commits under one key the second loses.
func tryStore(ctx context.Context, st store.Store) error {
	const key = "try"
	if err := store.Put(ctx, st, key, nil); err != nil {
		return err
	}
	if err := store.Put(ctx, st, key, nil); !errors.Is(err, store.ErrExists) {
		return fmt.Errorf("a second commit under one key ended with %v: this file system is not safe for a fleet", err)
	}
	return nil
}
