"""Several machines against one database: each has a network, a name, a data folder and a clock of its own."""
