package main

import (
	"os"

	"github.com/spf13/cobra"

	"herosup/cmd/internal/config"
	"herosup/cmd/internal/doctor"
	"herosup/dispatch/runner"
)

func (a *app) doctorCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether all that is needed is there and works",
		Long: `Looks at the state folder, the daemon, zinit, Redis, the bus, interpreters, cgroups and
limits, with or without a running daemon, and says what works and what to do about
what does not. It starts nothing and ends within seconds, whatever hangs. Ends with
status 3 when something is bad.`,
		Example: "  herosup doctor\n  herosup doctor -f herosup.yaml\n  herosup doctor -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			dir, err := a.folder()
			if err != nil {
				return err
			}
			found := examine(cmd, file, dir)
			well := doctor.Well(found)
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), map[string]any{"well": well, "findings": found})
			} else {
				err = printFindings(cmd, found)
			}
			if err == nil && !well {
				return &exitError{status: exitUnwell}
			}
			return err
		},
	}
	c.Flags().StringVarP(&file, "file", "f", os.Getenv("HEROSUP_CONFIG"), "configuration `file` (HEROSUP_CONFIG)")
	a.outputFlag(c)
	return c
}

// examine looks at all of it. A configuration that can not be used is a finding, and
// the rest is looked at with the defaults.
func examine(cmd *cobra.Command, file, dir string) []doctor.Finding {
	var found []doctor.Finding
	cfg, err := config.Load(file, runner.Find)
	switch {
	case err != nil:
		found = append(found, doctor.Finding{
			Check: "configuration", Grade: doctor.Bad, Text: err.Error(), Hint: "correct it; the rest is judged by the defaults",
		})
		cfg, _ = config.Load("", runner.Find) // the defaults: no file, no fault
	case file != "":
		found = append(found, doctor.Finding{Check: "configuration", Grade: doctor.OK, Text: file + " is fine"})
	}
	return append(found, doctor.Look(cmd.Context(), doctor.Subject{Config: cfg, Dir: dir})...)
}

func printFindings(cmd *cobra.Command, found []doctor.Finding) error {
	t := newTable(cmd.OutOrStdout(), "GRADE", "CHECK", "FOUND")
	for _, f := range found {
		t.row(string(f.Grade), f.Check, f.Text)
		if f.Hint != "" {
			t.row(" ", " ", "hint: "+f.Hint)
		}
	}
	return t.flush()
}
