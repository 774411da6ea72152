package main

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"

	"actfleet/internal/torch"
	"actfleet/shard/run"
)

// stamp is what the build was told it is: make build gives the output of git describe.
var stamp string

// version names the source the program was built from: the stamp, else the commit that Go recorded.
func version() string {
	if stamp != "" {
		return stamp
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return info.Main.Version
}

// versions is what a bug report needs to name.
type versions struct {
	Actfleet string            `json:"actfleet"`
	Go       string            `json:"go"`
	System   string            `json:"system"`
	Libtorch string            `json:"libtorch"` // empty where none can be opened
	BLAS     string            `json:"blas"`
	Plan     int               `json:"plan_format"`
	Modules  map[string]string `json:"modules"`
}

// shownModules are the libraries that decide what files and queries look like.
var shownModules = map[string]string{
	"github.com/parquet-go/parquet-go": "parquet-go", "github.com/apache/arrow/go/v15": "arrow",
	"github.com/duckdb/duckdb-go-bindings": "duckdb", "github.com/hashicorp/memberlist": "memberlist", "github.com/sugarme/gotch": "gotch",
}

func currentVersions() versions {
	v := versions{Actfleet: version(), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Libtorch: torch.Version(), BLAS: torch.BLAS(), Plan: run.PlanFormat, Modules: map[string]string{}}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if name := shownModules[m.Path]; name != "" {
				v.Modules[name] = m.Version
			}
		}
	}
	return v
}

func newVersion() *cobra.Command {
	var jsonOut bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of the program, its libraries and the libtorch it opens",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if jsonOut {
				return printJSON(c.OutOrStdout(), currentVersions())
			}
			printVersions(c.OutOrStdout(), currentVersions())
			return nil
		},
	}
	c.Flags().BoolVar(&jsonOut, "json", false, "print JSON")
	return c
}

func printVersions(out io.Writer, v versions) {
	libtorch := "none that can be opened (actfleet doctor says why)"
	if v.Libtorch != "" {
		libtorch = v.Libtorch + ", matrix products by " + v.BLAS
	}
	fmt.Fprintf(out, "actfleet    %s\nsystem      %s, %s\nlibtorch    %s\nplan format %d\n", v.Actfleet, v.System, v.Go, libtorch, v.Plan)
	for _, name := range slices.Sorted(maps.Keys(v.Modules)) {
		fmt.Fprintf(out, "%-11s %s\n", name, v.Modules[name])
	}
}
