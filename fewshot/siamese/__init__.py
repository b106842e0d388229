"""Siamese networks: embeddings, distances, mining, losses and training on pairs.

    sampler = PairSampler(catalog, PairSettings(16, 4, identity="subject"), loader=Loader(224))
    network = EmbeddingNetwork(EmbeddingSettings(dim=128))
    loss = TripletLoss("batch-hard", margin=0.2)
    memory = CrossBatchMemory(4096, network.dim, patience=100)
    task = pair_task(network, sampler, loss, memory=memory)
    train(task, TrainSettings(batch=sampler.size), folder, [CollapseMonitor(loss)])
    embeddings = load_embedding(folder).embed(images)

Modules:

    distances             Euclidean, cosine; mahalanobis and weighted_l1 are learned
    pair_masks            masks of positive and negative pairs
    miners                selection of pairs and triplets
    losses                one family per file
    cross_batch_memory    embeddings of earlier batches; hard_negatives: of the whole data set
    distributed           one batch over several processes
    objective             network, loss, memory and negatives for the training loop
    retrieval             match indices; recall, precision, mAP@R, nDCG
    verification          ROC, EER, TAR at a FAR; identification in open sets; frozen thresholds
"""
