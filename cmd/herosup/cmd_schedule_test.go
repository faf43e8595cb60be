package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"herosup/dispatch/schedule"
)

var updateSchedules = flag.Bool("update-schedules", false, "write the goldens of get schedules anew")

// The JSON of `get schedules` is scripted against: fields may be added.
func TestSchedulesGolden(t *testing.T) {
	zone, err := schedule.Zone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 25, 2, 0, 0, 0, zone)
	list := []schedule.View{
		{
			Name: "nightly", Cron: "0 3 * * *", Timezone: "Europe/Berlin", Type: "bash", Missed: schedule.Once, Source: schedule.FromConfig,
			Next: now.Add(time.Hour), LastDue: now.Add(-23 * time.Hour), LastJob: schedule.JobID("nightly", now.Add(-23*time.Hour)), Fired: 12, MissedCount: 2,
		},
		{Name: "paused", Cron: "@every 10m", Timezone: "UTC", Type: "python", Missed: schedule.Skip, Source: schedule.FromCommand, Paused: true},
		{Name: "spoilt", Cron: "@soon", Timezone: "UTC", Type: "bash", Missed: schedule.Once, Source: schedule.FromCommand, Fault: `"@soon" is not known`},
	}
	var asJSON, asText bytes.Buffer
	if err := printJSON(&asJSON, list); err != nil {
		t.Fatal(err)
	}
	if err := printSchedules(&asText, list, now); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"schedules.json": asJSON.String(), "schedules.txt": asText.String()} {
		file := filepath.Join("testdata", name)
		if *updateSchedules {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s (run with -update-schedules if this is meant):\n%s", file, d)
		}
	}
}
