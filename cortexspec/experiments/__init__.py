"""What a paper did with a circuit: data, training, measures, claims."""
