"""Methods x protocols x folds x supports x seeds -> one table.

| module | one idea |
|---|---|
| `methods` | what a name on the command line stands for, and how it becomes a `counting.Method` |
| `cells` | what is computed once and kept: the counts of one method under one protocol and fold |
| `settings` | what a folder of cells and models was made with; other settings are refused |
| `models` | one training a method, training catalog and seed, taken up again after a kill |
| `leakage` | what of the test was in training |
| `table` | from cells to rows: means, intervals, paired differences |
| `headline` | which numbers of the table have a name |
| `files`, `picture` | the table as JSON, CSV, Markdown, text and dots with intervals |
"""
