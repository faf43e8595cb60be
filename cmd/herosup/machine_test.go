package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"herosup/zinit/zinittest"
)

// As the first process of a whole machine: it runs services in order, reaps whoever
// loses its parent, ends services in reverse order, and starts the machine anew or
// powers it off.
func TestZinitInitAsFirstOfAMachine(t *testing.T) {
	notRaced(t)
	dir := shortDir(t)
	program, services := filepath.Join(dir, "herosup-copy"), filepath.Join(dir, "services") // see TestMain
	copyProgram(t, program)
	says := func(name, more string) string {
		return fmt.Sprintf("exec: sh -c 'trap \"echo %[1]s ends; exit\" TERM; echo %[1]s begins; touch /run/%[1]s; while true; do sleep 0.1; done'\nlog: stdout\ntest: test -e /run/%[1]s\n%[2]s", name, more)
	}
	// Asks for a reboot in the first life of the machine, by what is left outside of
	// it, and for its end in the second.
	driver := fmt.Sprintf(`trap '' TERM
(setsid sh -c 'sleep 0.2; touch /run/orphan' &)
while ! test -e /run/orphan; do sleep 0.1; done
while cat /proc/[0-9]*/stat 2>/dev/null | grep -q ') Z 1 '; do sleep 0.1; done
echo "first is $(cat /proc/1/comm), no zombies"
%[1]s zinit list --socket /run/z.sock
if mkdir /mnt/booted; then
  %[1]s zinit shutdown --reboot --socket /run/z.sock
else
  %[1]s zinit shutdown --socket /run/z.sock
fi
`, program)
	for _, err := range []error{
		os.Mkdir(services, 0o755),
		os.WriteFile(filepath.Join(services, "db.yaml"), []byte(says("db", "")), 0o600),
		os.WriteFile(filepath.Join(services, "web.yaml"), []byte(says("web", "after: [db]\n")), 0o600),
		os.WriteFile(filepath.Join(dir, "driver"), []byte(driver), 0o600),
		os.WriteFile(filepath.Join(services, "driver.yaml"), []byte("exec: sh "+filepath.Join(dir, "driver")+"\nlog: stdout\noneshot: true\nafter: [web]\n"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	console := zinittest.Machine(t, fmt.Sprintf("mount -t hostfs -o $OUTSIDE none /mnt\ncp -r %s /run/\nexec %s zinit init --config /run/services --socket /run/z.sock\n",
		services, program))
	rest := console
	for _, want := range []string{
		"db begins", "web begins", "first is herosup-copy, no zombies", "web ends", "db ends", "Restarting system",
		"db begins", "web begins", "web ends", "db ends", "System halted", // this kind of machine has no power to switch off
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("no %q in its turn:\n%s", want, console)
		}
		rest = after
	}
}
