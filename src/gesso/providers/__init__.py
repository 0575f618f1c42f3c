"""Outside generators behind one face. No database, no accounts, no prices here; `ADDING.md` tells how to add one."""
