"""The experiment `bias`: what penalties make of the bias of amortized estimators."""
