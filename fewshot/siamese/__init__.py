"""Siamese networks: embeddings, distances, mining, losses and training on pairs.

    sampler = PairSampler(catalog, PairSettings(16, 4, identity="subject"), loader=Loader(224))
    network = EmbeddingNetwork(EmbeddingSettings(dim=128))
    loss = TripletLoss("batch-hard", margin=0.2)
    memory = CrossBatchMemory(4096, network.dim, patience=100)
    task = pair_task(network, sampler, loss, memory=memory)
    train(task, TrainSettings(batch=sampler.size), folder, [CollapseMonitor(loss)])
    embeddings = load_embedding(folder).embed(images)

What is where:

    embedding        images -> embeddings; pooling: average, generalised mean, regions
    small            a small network for small pictures; ink: drawings; views, whitening, one_shot
    distances        Euclidean, cosine; mahalanobis and weighted_l1 are learned
    relation         labels -> which pairs are positive and negative
    mining           which of them a loss looks at
    losses           one family a file
    memory           earlier batches; hard_negatives: the data set's nearest negatives
    gather           one batch over several processes
    task             all of it for the training loop
    retrieval        recall, precision, mAP@R, nDCG; identification: open sets
    verification     same or not: ROC, EER, TAR at a FAR; decision: a frozen threshold
    scores           all of them of one set of embeddings; listed: makes the set
    matches          the match index, in a folder or on Milvus
    match_segment    pick the support that fits, then segment with it; alignment, position, path
"""
