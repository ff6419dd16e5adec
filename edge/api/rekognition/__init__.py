"""The Rekognition endpoint: detectors, embedder and collections of the device behind the Amazon Rekognition API.

``endpoint`` receives and verifies a request, ``constraints`` validates it, and a function of ``operations`` runs it on
a work queue of ``service``.
"""
