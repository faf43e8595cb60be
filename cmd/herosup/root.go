package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"herosup/cmd/internal/state"
	"herosup/events"
)

// app holds the flags that every command has.
type app struct {
	stateDir  string
	output    string
	logFormat string
	logLevel  string
	quiet     bool
}

func newRoot() *cobra.Command {
	a := &app{}
	root := &cobra.Command{
		Use:   "herosup",
		Short: "Keeps pools of workers alive, healthy and exactly as many as the work needs",
		Example: `  herosup demo                       see it work, in a folder of its own
  herosup up --detach                start the daemon
  herosup run bash -e 'echo hi'      submit a script and wait for its result
  herosup submit python job.py       submit and go on
  herosup status                     one page
  herosup down --stop-actors         end it all`,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	f := root.PersistentFlags()
	f.StringVar(&a.stateDir, "state", "", "state `folder` (HEROSUP_STATE; default: the XDG state folder, /var/lib/herosup for root)")
	f.StringVar(&a.logFormat, "log-format", "auto", "`auto`, text or json; logs go to stderr")
	f.StringVar(&a.logLevel, "log-level", "", "`debug`, info, warn or error")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "nothing on stderr but errors")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return hinted(exitUsage, err, "see `"+cmd.CommandPath()+" --help`")
	})
	root.AddCommand(
		a.upCommand(), a.downCommand(),
		a.submitCommand(), a.runCommand(),
		a.statusCommand(), a.getCommand(), a.eventsCommand(), a.logsCommand(),
		a.scaleCommand(), a.pauseCommand(), a.resumeCommand(), a.scheduleCommand(),
		a.startCommand(), a.stopCommand(), a.restartCommand(), a.pingCommand(), a.resetCommand(),
		a.cancelCommand(), a.retryCommand(), a.removeCommand(), a.describeCommand(), a.explainCommand(),
		a.natsContextCommand(), a.demoCommand(), a.doctorCommand(), a.versionCommand(),
		a.actorCommand(), a.demoActorCommand(), a.zinitCommand(), a.redisCommand(), exitStatusHelp(),
	)
	usageOnArgs(root)
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		if c.Name() == "help" {
			c.Args = knownTopic
		}
	}
	return root
}

// knownTopic refuses help about what is not there, where cobra shows that about all.
func knownTopic(cmd *cobra.Command, args []string) error {
	if _, rest, err := cmd.Root().Find(args); err != nil || len(rest) > 0 {
		return hinted(exitUsage, fmt.Errorf("no help about %q", strings.Join(args, " ")), "see `herosup --help`")
	}
	return nil
}

// usageOnArgs makes a wrong number of arguments, or a word that is no command,
// end with the status of wrong usage in every command.
func usageOnArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				hint := "see `" + cmd.CommandPath() + " --help`"
				if !cmd.HasSubCommands() {
					err = fmt.Errorf("arguments given: %d; want `%s`", len(args), cmd.UseLine())
				}
				if len(args) > 0 {
					var names []string
					for _, sub := range cmd.Commands() {
						if sub.IsAvailableCommand() {
							names = append(names, sub.Name())
						}
					}
					if near := events.Nearest(args[0], names); near != "" {
						hint = fmt.Sprintf("did you mean `%s %s`?", cmd.CommandPath(), near)
					}
				}
				return hinted(exitUsage, err, hint)
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		usageOnArgs(sub)
	}
}

// outputFlag adds -o to a command that prints data.
func (a *app) outputFlag(c *cobra.Command) {
	c.Flags().StringVarP(&a.output, "output", "o", "text", "`text` or json")
}

// wideFlag adds -o to a command that has more columns to show.
func (a *app) wideFlag(c *cobra.Command) {
	c.Flags().StringVarP(&a.output, "output", "o", "text", "`text`, wide or json")
}

func (a *app) json() (bool, error) {
	switch a.output {
	case "text", "":
		return false, nil
	case "json":
		return true, nil
	}
	return false, usagef("output %q is unknown: want text or json", a.output)
}

// folder is the state folder's path.
func (a *app) folder() (string, error) {
	if a.stateDir != "" {
		return a.stateDir, nil
	}
	return state.Default()
}

// logger writes to stderr: colours for a terminal, JSON when asked for.
func (a *app) logger(cmd *cobra.Command, level, format string) (*slog.Logger, error) {
	if a.logLevel != "" {
		level = a.logLevel
	}
	if a.logFormat != "auto" {
		format = a.logFormat
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usagef("log level %q is unknown: want debug, info, warn or error", level)
	}
	w := cmd.ErrOrStderr()
	f, isFile := w.(*os.File)
	tty := isFile && isatty.IsTerminal(f.Fd())
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l})), nil
	case "text", "auto":
		color := tty && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: l, NoColor: !color, TimeFormat: time.StampMilli})), nil
	}
	return nil, usagef("log format %q is unknown: want auto, text or json", format)
}

// note says something beside the data, unless --quiet.
func (a *app) note(cmd *cobra.Command, format string, v ...any) {
	if !a.quiet {
		fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", v...)
	}
}
