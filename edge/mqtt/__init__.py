"""The wire: topics, messages, and the client that survives brokers.

How a daemon puts them together::

    outbox = Outbox(state / "outbox.db", settings.outbox)
    client = of_device(settings.mqtt, settings.device.name, outbox.session)
    delivery = Delivery(outbox, client, settings.device.name, settings.mqtt.acknowledge)
    client.retain(topics.info, to_json(Info(...)))   # and again whenever it changes
    client.start(); delivery.start()                 # neither raises nor waits
    outbox.put(events)
    delivery.stop(2.0); client.stop(); outbox.close()
"""
