"""Labels in files of strangers: lines, JSON, names of classes. It knows no format of data sets."""
