package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version comes from the build itself: the module's version, or the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v, revision, dirty := info.Main.Version, "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+changes"
			}
		}
	}
	if v != "" && v != "(devel)" {
		return v
	}
	if len(revision) >= 12 {
		return "devel-" + revision[:12] + dirty
	}
	return "devel"
}

func (a *app) versionCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]string{"version": version(), "go": runtime.Version()})
			}
			fmt.Fprintln(cmd.OutOrStdout(), "herosup", version(), runtime.Version())
			return nil
		},
	}
	a.outputFlag(c)
	return c
}

func exitStatusHelp() *cobra.Command {
	return &cobra.Command{
		Use: "exit-status", Short: "What the exit statuses mean",
		Long: `0    done
1    failed
2    wrong usage or configuration
3    seen and not well (status, doctor)
4    no daemon there
5    refused: rights, or somebody else owns it
124  timed out
130  interrupted

run ends with the script's own exit status when the script ran.`,
	}
}
