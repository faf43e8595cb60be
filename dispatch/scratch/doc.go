// Package scratch makes folders that do not outlive their process by long, however it ends.
//
// Each is locked by who made it. The kernel gives a lock back with the process that held it, also after a SIGKILL, so what a killed
// one left is told from what is in use; whoever makes the next folder of that kind, as the same user, removes it. The
// lock is not inherited: a child that outlives its parent does not keep the folder.
//
// All lie below <temporary folder>/herosup-<kind>-<uid>, which is this user's alone or refused, since the temporary folder is
// everybody's. Nothing else is ever removed.
package scratch
