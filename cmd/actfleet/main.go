package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"actfleet/internal/nearest"
	"actfleet/trainer"
)

// The exit codes of every command.
const (
	exitDone        = 0
	exitError       = 1
	exitUsage       = 2
	exitDamage      = 3 // check found damage or a difference
	exitInterrupted = 4 // the same command continues
)

// errDamage makes check exit with exitDamage.
var errDamage = errors.New("the run is not whole")

// errUsage marks a mistake in flags or arguments.
var errUsage = errors.New("usage")

const exitCodes = `
Exit codes: 0 done, 1 error, 2 usage, 3 check found damage or a difference, 4 interrupted (the same command continues).`

func main() {
	os.Exit(execute(os.Args[1:]))
}

func execute(args []string) int {
	ctx, stop := interruptible()
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	out := &checkedOutput{Writer: os.Stdout}
	if !term.IsTerminal(int(os.Stdout.Fd())) { // which some commands ask about
		root.SetOut(out)
	}
	err := knownCommand(root, args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	if err == nil {
		err = out.err
	}
	code := exitCode(ctx, err)
	if err != nil {
		fmt.Fprintln(os.Stderr, lastLine(err, code))
	}
	return code
}

// lastLine is the one in which a command says why it failed. What a signal ended says no more than that.
func lastLine(err error, code int) string {
	if code == exitInterrupted && !errors.Is(err, trainer.ErrInterrupted) {
		return "actfleet: interrupted"
	}
	return "actfleet: " + strings.ReplaceAll(err.Error(), "\n", "; ")
}

// checkedOutput is standard output that remembers the first error, so that no table is lost without a word.
type checkedOutput struct {
	io.Writer
	err error
}

// Write writes to standard output.
func (o *checkedOutput) Write(b []byte) (int, error) {
	n, err := o.Writer.Write(b)
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("the output is not complete: %w", err)
	}
	return n, err
}

// interruptible returns a context that the first Ctrl-C, SIGTERM or SIGHUP cancels; the second one ends the
// process at once, which loses nothing that was committed. Under nohup SIGHUP is ignored.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		<-signals
		cancel()
		fmt.Fprintln(os.Stderr, "\nactfleet: stopping; what is committed stays, the same command goes on later (once more to stop at once)")
		<-signals
		os.Exit(exitInterrupted)
	}()
	release := func() { signal.Stop(signals) }
	return context.WithValue(ctx, releaseKey{}, release), func() { release(); cancel() }
}

type releaseKey struct{}

func exitCode(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errDamage), errors.Is(err, errDiffers):
		return exitDamage
	case errors.Is(err, trainer.ErrInterrupted), errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitInterrupted
	case errors.Is(err, errUsage):
		return exitUsage
	}
	return exitError
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "actfleet",
		Short:         "Collect every activation of a language model with a fleet of processes, and train on them",
		Long:          "actfleet runs language-model checkpoints over a data set on one machine or many, stores the chosen\nactivations as Parquet, and trains sparse autoencoders, activation tokenizers and truth probes on them.\n" + exitCodes,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w: %w%s (see %s --help)", errUsage, err, flagMeant(c, err), c.CommandPath())
	})
	root.AddCommand(newCollect(), newStatus(), newCheck(), newDescribe(), newTokenize(), newGenerate(), newBehave(), newTrain(), newEval(), newCompare(), newEncode(), newDecode(), newExport(), newImport(),
		newSQL(), newSQLWorker(), newChatWorker(), newReport(), newCat(), newDoctor(), newBench(), newVersion())
	return root
}

// knownCommand refuses a first word that names no command.
func knownCommand(root *cobra.Command, args []string) error {
	if _, _, err := root.Find(args); err == nil || len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return fmt.Errorf("%w: there is no command %q%s (see actfleet --help)", errUsage, args[0], didYouMean("", nearest.Name(args[0], names)))
}

// flagMeant is what to say after a flag that does not exist.
func flagMeant(c *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return ""
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return didYouMean("--", nearest.Name(unknown.GetSpecifiedName(), names))
}

func didYouMean(prefix, name string) string {
	if name == "" {
		return ""
	}
	return "; did you mean " + prefix + name + "?"
}

// usage turns cobra's argument checks into usage errors.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return fmt.Errorf("%w: %w (see %s --help)", errUsage, err, c.CommandPath())
		}
		return nil
	}
}
